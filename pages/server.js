"use strict";
const at = id => document.getElementById(id), {make} = page;
const ACTIONS = {
  order: [["Back", "←", back], ["Clear", "⌫", clear], ["Equal", "=", equal], ["Undo", "U", undo], ["Skip", "→", skip], ["Next", "Enter", confirm]],
  decide: [["Back", "←", back], ["Keep", "K", () => send("keep")], ["Flip", "F", () => send("flip")], ["Tie", "T", () => send("tie")],
    ["Drop", "D", () => send("drop")], ["Undo", "U", undo], ["Skip", "→", skip]],
};
const KEYS = {ArrowLeft: "Back", ArrowRight: "Skip", Backspace: "Clear", "=": "Equal", Enter: "Next", k: "Keep", f: "Flip", t: "Tie", d: "Drop", u: "Undo"};
const PLACES = ["1st", "2nd", "3rd"], SMALL_PX = 128;
// `way` has the numbers of the tasks that the filter leaves, `place` is where we are on it. `places` holds what was chosen: lists of images, best
// first, those of one list equal. `tying`: the next image chosen shares the last place; before any is chosen, all images do. The last image
// needs no choosing. `done` has what was answered since the page was opened, with what was there before, for Undo.
let session, way = [], place = 0, places = [], tying = false, busy = false, done = [];
const number = () => way[place], task = () => session.tasks[number()];

// Of the picture alone, while it is not known how large it is, a square is kept free.
function frame(i, item) {
  const ordering = session.mode === "order", node = make(ordering ? "span" : "button", ordering ? "frame" : "frame picture");
  const medium = make(item.video ? "video" : "img"), src = `item/${number()}/${i}`;
  if (item.video) Object.assign(medium, {muted: true, loop: true, playsInline: true});
  if (item.video) medium.setAttribute("aria-label", altOf(item));
  else medium.alt = altOf(item);
  medium.dataset.src = src;
  medium.onload = medium.onloadedmetadata = () => {
    const width = medium.naturalWidth || medium.videoWidth, height = medium.naturalHeight || medium.videoHeight;
    medium.setAttribute("width", width);
    medium.setAttribute("height", height);
    node.style.setProperty("--ratio", width / height);
    node.dataset.boxes = JSON.stringify((item.boxes || []).map(([x1, y1, x2, y2, label, state]) =>
      [100 * x1 / width, 100 * y1 / height, 100 * (x2 - x1) / width, 100 * (y2 - y1) / height, label, state]));
    page.ready(node);
    fit();
  };
  node.dataset.enlarges = "";
  node.dataset.caption = [altOf(item), item.note].filter(Boolean).join("\n");
  node.append(medium);
  medium.src = src;
  return node;
}

function altOf(item) { return session.mode === "order" ? `Image ${item.label}` : `${item.label} for “${task().prompt}”`; }

function card(item, i) {
  const node = make("article", "card"), name = make("span", "name"), shown = frame(i, item);
  if (session.mode === "order") {
    const pick = page.button("", () => choose(i), "pick"), zoom = page.button("⤢", () => page.enlarge(shown), "zoom");
    name.append(make("kbd", "", i + 1), make("span", "rank"));
    name.firstChild.setAttribute("aria-hidden", "true");  // the picture says it
    pick.append(shown, name);
    zoom.setAttribute("aria-label", `Enlarge image ${i + 1}`);
    node.append(pick, zoom);
  } else {
    name.append(make("b", i ? "bad" : "good", item.label));
    node.append(shown, name);
  }
  if (item.note) node.append(make("p", "why", item.note));
  return node;
}

function columns(count) {
  return count <= 4 ? count : count <= 6 ? 3 : 4;
}

// As wide as lets all pictures be seen at once, under the prompt and over the buttons.
function fit() {
  const items = at("items"), cards = [...items.querySelectorAll(".card")];
  if (!cards.length) return;
  const across = columns(cards.length), rows = Math.ceil(cards.length / across);
  const frames = cards.map(node => node.querySelector(".frame"));
  const below = Math.max(...cards.map((node, i) => node.offsetHeight - frames[i].offsetHeight));
  const around = [".bar", "#bar", ".asked", "footer"].reduce((sum, name) => sum + document.querySelector(name).offsetHeight, 0);
  const space = (innerHeight - around - 40 - (rows - 1) * 16) / rows - below;
  const flattest = Math.min(...frames.map(node => parseFloat(node.style.getPropertyValue("--ratio")) || 1));
  items.style.setProperty("--fitting", `${Math.floor(space * flattest + 16) * across + 16}px`);
}

function show(to) {
  place = to;
  const shown = task(), ended = !shown;
  const answered = session.tasks.filter(each => each.answer !== null).length;
  at("bar").max = session.tasks.length;
  at("bar").value = answered;
  at("count").textContent = ended ? `${answered} of ${session.tasks.length} answered`
    : `${place + 1} of ${way.length}` + (shown.answer !== null ? ", answered" : "") + (way.length < session.tasks.length ? ", filtered" : "");
  at("prompt").replaceChildren(...ended ? [] : page.marked(shown.prompt, shown.marks || []));
  at("prompt").hidden = ended;
  at("prompt").classList.toggle("long", !ended && shown.prompt.length > 100);
  at("title").textContent = ended ? "" : session.title;
  at("error").hidden = true;
  at("note").value = ended ? "" : shown.note || "";
  at("note").closest("label").hidden = ended;
  places = ended || session.mode !== "order" ? [] : (shown.answer || []).map(each => [each].flat());
  tying = false;
  const count = ended ? 0 : shown.items.length;
  at("items").style.setProperty("--columns", columns(count) || 1);
  at("items").style.setProperty("--narrow", count > 1 ? 2 : 1);
  at("items").style.setProperty("--wide", count > 2 ? "92rem" : "62rem");
  at("items").replaceChildren(...(ended ? [theEnd(answered)] : shown.items.map(card)));
  const next = session.tasks[way[place + 1]];
  if (next) next.items.forEach((item, i) => item.video || Object.assign(new Image(), {src: `item/${way[place + 1]}/${i}`}));
  draw();
  fit();
  scrollTo(0, 0);
}

function theEnd(answered) {
  const node = make("section"), left = session.tasks.length - answered;
  node.id = "end";
  node.append(make("h1", "", left ? `${left} left open` : "Done, thank you"));
  node.append(make("p", "", left ? "Back goes to the one before; the same command shows the open ones again." : session.done));
  return node;
}

function draw() {
  const shown = task(), order = shownOrder();
  const full = shown && order.flat().length === shown.items.length;
  document.querySelectorAll(".pick").forEach((node, i) => {
    const group = order.findIndex(each => each.includes(i)), before = order.slice(0, Math.max(group, 0)).flat().length;
    const said = group < 0 ? "" : (PLACES[before] || `${before + 1}th`) + (order[group].length > 1 ? " =" : "");
    node.setAttribute("aria-pressed", group >= 0);
    node.querySelector(".rank").textContent = said;
    node.querySelector(".rank").hidden = group < 0;
  });
  const chosen = places.flat().length, whole = shown && chosen === shown.items.length;
  const can = {Back: place > 0, Clear: chosen > 0 || tying, Equal: shown && !whole, Undo: done.length > 0, Skip: shown, Next: full,
    Keep: shown, Flip: shown, Tie: shown, Drop: shown};
  for (const node of at("actions").children) {
    node.disabled = !can[node.name];
    node.classList.toggle("chosen", node.name === "Equal" ? tying : Boolean(shown) && shown.answer === node.name.toLowerCase());
  }
}

function action([name, key, act]) {
  const node = page.button(name, act, name === "Next" ? "main" : "");
  node.name = name;
  node.append(make("kbd", "", key));
  return node;
}

// What was chosen, and what follows from it.
function shownOrder() {
  if (!task() || session.mode !== "order") return [];
  const left = task().items.map((_, i) => i).filter(i => !places.flat().includes(i));
  if (left.length === 1 || (tying && !places.length)) return tied(places, left);
  return places;
}

function tied(before, more) {
  return tying && before.length ? [...before.slice(0, -1), [...before.at(-1), ...more]] : [...before, more];
}

function choose(i) {
  if (places.flat().includes(i)) places = places.map(each => each.filter(one => one !== i)).filter(each => each.length);
  else places = tied(places, [i]);
  tying = false;
  draw();
}

function equal() { tying = !tying; draw(); }
function clear() { places = []; tying = false; draw(); }
function back() { if (place > 0) show(place - 1); }
function skip() { if (task()) show(place + 1); }
function confirm() { send(shownOrder().map(each => each.length > 1 ? each : each[0])); }

async function send(answer) {
  const before = [number(), task().answer, task().note];
  if (await saved(number(), answer, at("note").value.trim())) {
    done.push(before);
    show(place + 1);
  }
}

// The last answer as it was before; where there was none there is none again.
async function undo() {
  const [which, answer, note] = done.at(-1);
  if (!await saved(which, answer, note || "")) return;
  done.pop();
  if (!way.includes(which)) way.splice(place, 0, which);
  show(way.indexOf(which));
}

// A note to what is answered is kept with the answer, at once; else it goes with the answer.
async function keepNote() {
  const shown = task(), note = at("note").value.trim();
  if (!shown || note === (shown.note || "")) return;
  if (shown.answer === null) shown.note = note;
  else await saved(number(), shown.answer, note);
}

async function saved(which, answer, note) {
  if (busy) return false;
  busy = true;
  try {
    const reply = await fetch("answer", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({task: which, answer, note})});
    const said = await reply.json();
    if (said.error) throw new Error(said.error);
    Object.assign(session.tasks[which], {answer, note});
    return true;
  } catch (error) {
    const lost = error instanceof TypeError;
    at("error").textContent = "Not saved: " + (lost ? "the command has ended. Start it again and open the address it prints." : error.message);
    at("error").hidden = false;
    return false;
  } finally {
    busy = false;
  }
}

// The filter: what it leaves is looked up when it is changed, so that an answer takes nothing from under one's hands.
const form = document.querySelector("#filter form");

function offer(name, values) {
  form.elements[name].replaceChildren(...["", ...values].map(value => Object.assign(make("option", "", value.replace("_", " ") || "any"), {value})));
  form.elements[name].closest("label").hidden = !values.length;
}

function fits(each, asked) {
  const answer = each.answer === null ? "open" : session.mode === "order" ? "answered" : each.answer;
  return each.prompt.toLowerCase().includes(asked.text.trim().toLowerCase()) && (!asked.answer || asked.answer === answer)
    && (!asked.tag || asked.tag === each.tag) && (!asked.kind || (each.kinds || []).includes(asked.kind));
}

function choosing() {
  const asked = Object.fromEntries(new FormData(form)), all = session.tasks.map((_, i) => i);
  way = all.filter(i => fits({...session.tasks[i]}, {text: "", ...asked}));
  const plain = way.length === all.length, open = way.findIndex(i => session.tasks[i].answer === null);
  show(plain ? (open < 0 ? way.length : open) : 0);
}

form.oninput = choosing;
form.onreset = () => setTimeout(choosing);
form.onsubmit = event => event.preventDefault();
at("note").onchange = keepNote;
addEventListener("resize", () => session && fit());
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !session || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && form.parentElement.open) {
    form.parentElement.open = false;
    return form.parentElement.querySelector("summary").focus();
  }
  if (event.target.matches("input, select, textarea")) {
    if (["Enter", "Escape"].includes(event.key)) event.target.blur();
    return;
  }
  const digit = Number(event.key);
  if (session.mode === "order" && task() && digit >= 1 && digit <= task().items.length) return choose(digit - 1);
  if (event.key === "z" && task()) return page.enlarge(at("items").querySelector("[data-enlarges]"));
  if (event.key === "n" && task()) {
    event.preventDefault();
    return at("note").focus();
  }
  let button = at("actions").children[KEYS[event.key] || KEYS[event.key.toLowerCase()]];
  if (event.key === "=" && session.mode === "decide") button = at("actions").children.Tie;
  const onButton = event.key === "Enter" && event.target.closest("button, summary") && !event.target.closest(".pick");
  if (!button || button.disabled || onButton || event.repeat) return;
  event.preventDefault();
  button.onclick();
});

fetch("tasks").then(reply => reply.json()).then(found => {
  session = found;
  document.title = session.title;
  at("actions").replaceChildren(...ACTIONS[session.mode].map(action));
  const told = name => [...new Set(session.tasks.flatMap(each => each[name] || []))].sort();
  offer("answer", session.mode === "order" ? ["open", "answered"] : ["open", "keep", "flip", "tie", "drop"]);
  offer("tag", told("tag"));
  offer("kind", told("kinds"));
  choosing();
});
