"use strict";
const at = selector => document.querySelector(selector), form = at("form"), list = at("#list"), AT_ONCE = 24, AHEAD_PX = 1500;
const prompts = JSON.parse(at("#data").textContent);
const pairs = prompts.flatMap(prompt => prompt.pairs.map(pair => ({...pair, prompt})));
const sides = pair => [pair.winner, pair.loser].map(place => pair.prompt.candidates[place]);
const score = one => one.score === null ? "no verdict" : one.score.toFixed(3).replace(/^0/, "");
let tab = "pairs", left = [];

function side(role, text, one) {
  const node = page.make("div", "side"), why = one.why || [], state = one.score === null ? "" : one.correct ? "good" : "bad";
  const said = [role, score(one), ...(why.length ? why : one.correct ? ["correct"] : [])].filter(Boolean);
  const seen = (one.boxes || []).map(box => box[4]).join(", ");
  node.append(page.picture({src: one.src, poster: one.poster, video: Boolean(one.poster), width: one.size[0], height: one.size[1], state,
    alt: `${said.join(", ")}${seen ? `; seen: ${seen}` : ""}`, caption: `${text}\n${said.join(", ")}`, boxes: one.boxes || []}));
  const head = page.make("b", "", role ? `${role} ${score(one)}` : score(one));
  node.append(head);
  const reasons = page.make("ul", state === "bad" ? "down" : "soft");
  for (const each of why.length ? why : one.correct && role ? ["correct"] : []) reasons.append(page.make("li", "", each));
  if (reasons.children.length) node.append(reasons);
  if (one.scores) node.append(page.make("div", "soft", one.scores.map(([name, value, right]) => `${name} ${value.toFixed(2)} ${right ? "✓" : "✗"}`).join(", ")));
  return node;
}

function before(prompt) {
  const node = page.make("div", "side"), {src, size} = prompt.before, alt = "before the edit";
  node.append(page.picture({src, width: size[0], height: size[1], state: "", alt, caption: `${prompt.text}\n${alt}`, boxes: []}), page.make("b", "", "Before"));
  return node;
}

function pairCard(pair) {
  const node = page.make("article"), [winner, loser] = sides(pair), both = page.make("div", "sides");
  const decided = pair.decision ? `, people say ${pair.decision}` : "";
  const head = page.make("h2");
  head.append(...page.marked(pair.prompt.text, loser.marks || []));
  node.append(head, page.make("p", "soft", `${pair.prompt.tag.replace("_", " ")}, margin ${pair.margin}, ${pair.key}${decided}`));
  if (pair.prompt.before) both.append(before(pair.prompt));
  both.append(side("Winner", pair.prompt.text, winner), side("Loser", pair.prompt.text, loser));
  node.append(both);
  return node;
}

function promptCard(prompt) {
  const node = page.make("article"), row = page.make("div", "row"), right = prompt.candidates.filter(one => one.correct).length;
  node.append(page.make("h2", "", prompt.text), page.make("p", "soft",
    `${prompt.tag.replace("_", " ")}, ${right} of ${prompt.candidates.length} right, ${prompt.pairs.length || "no"} pair${prompt.pairs.length === 1 ? "" : "s"}`));
  if (prompt.before) row.append(before(prompt));
  prompt.candidates.forEach(one => row.append(side("", prompt.text, one)));
  node.append(row);
  return node;
}

const complained = (one, asked) => (!asked.kind || (one.kinds || []).includes(asked.kind)) && (!asked.judge || (one.judges || []).includes(asked.judge));
const named = (prompt, asked) => (!asked.tag || prompt.tag === asked.tag) && prompt.text.toLowerCase().includes((asked.text || "").trim().toLowerCase());

function fitsPair(pair, asked) {
  return named(pair.prompt, asked) && pair.margin >= (asked.least || 0) && pair.margin <= (asked.most || 1)
    && (!asked.decision || asked.decision === (pair.decision || "open")) && sides(pair).some(one => complained(one, asked));
}

function fitsPrompt(prompt, asked) {
  const right = prompt.candidates.filter(one => one.correct).length, all = prompt.candidates.length;
  const is = {some: right > 0 && right < all, all: right === all, none: right === 0, pairless: prompt.pairs.length === 0};
  return named(prompt, asked) && (!asked.right || is[asked.right]) && prompt.candidates.some(one => complained(one, asked));
}

function show() {
  const asked = Object.fromEntries(new FormData(form)), ofPairs = tab === "pairs", all = ofPairs ? pairs : prompts;
  left = all.filter(one => ofPairs ? fitsPair(one, asked) : fitsPrompt(one, asked));
  if (ofPairs && asked.order) left.sort((a, b) => asked.order === "wide" ? b.margin - a.margin : a.margin - b.margin);
  at("output").textContent = `${left.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} ${tab}`;
  at(".empty").hidden = left.length > 0;
  list.className = tab;
  list.replaceChildren();
  more();
}

function more() {
  list.append(...left.splice(0, AT_ONCE).map(tab === "pairs" ? pairCard : promptCard));
  at("#more").hidden = !left.length;
  if (left.length) requestAnimationFrame(() => at("#more").getBoundingClientRect().top < innerHeight + AHEAD_PX && more());
}

function turn() {
  const named = location.hash.slice(1);
  if (!["", "pairs", "prompts", "counts"].includes(named)) return;
  tab = named || "pairs";
  for (const link of document.querySelectorAll(".tabs a")) link.hash === `#${tab}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  at("#chosen").hidden = tab === "counts";
  at("#told").hidden = tab !== "counts";
  at("#chosen").setAttribute("aria-label", tab);
  for (const label of form.querySelectorAll("[data-of]")) label.hidden = label.dataset.of !== tab;
  if (tab !== "counts") show();
}

new IntersectionObserver(([entry]) => entry.isIntersecting && left.length && more(), {rootMargin: `${AHEAD_PX}px`}).observe(at("#more"));
form.oninput = show;
form.onreset = () => setTimeout(show);
form.onsubmit = event => event.preventDefault();
addEventListener("hashchange", turn);
addEventListener("keydown", event => {
  if (event.key !== "/" || event.target.matches("input, select")) return;
  event.preventDefault();
  form.elements.text.focus();
});
turn();
