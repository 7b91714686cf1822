"use strict";
// What all pages share: pictures with boxes that can be enlarged, clips that play while they are seen, light or dark.
const page = (() => {
  const root = document.documentElement, SMALL_PX = 256;
  const still = matchMedia("(prefers-reduced-motion: reduce)"), night = matchMedia("(prefers-color-scheme: dark)");
  let dialog, list = [], at = 0;

  try {
    const look = localStorage.getItem("sipo-look");
    if (look) root.dataset.look = look;
  } catch { /* a browser that keeps nothing */ }

  function make(tag, className = "", text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }

  function button(text, act, className = "button") {
    const node = make("button", className, text);
    node.type = "button";
    node.onclick = act;
    return node;
  }

  // Each box is [left, top, width, height] in percent of the picture, a label, and "good", "bad" or "".
  function draw(frame, boxes) {
    frame.querySelector(".boxes")?.remove();
    if (!boxes.length) return;
    const layer = make("span", "boxes");
    layer.setAttribute("aria-hidden", "true");
    for (const [left, top, width, height, label, state] of boxes) {
      const box = make("span", `box ${state} ${top < 12 ? "low" : ""} ${left + width / 2 > 50 ? "left" : ""}`);
      Object.assign(box.style, {left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%`});
      if (label) box.append(make("b", "", label));
      layer.append(box);
    }
    frame.append(layer);
  }

  // As the macro of pictures.html writes it.
  function picture({src, alt, width, height, video = false, poster = "", caption = "", state = "", boxes = []}) {
    const node = button("", null, `picture ${state}`), medium = make(video ? "video" : "img");
    Object.assign(medium, {width, height});
    if (video) {
      Object.assign(medium, {muted: true, loop: true, playsInline: true, preload: "none", poster});
      medium.setAttribute("aria-label", alt);
      medium.dataset.src = src;
    } else Object.assign(medium, {loading: "lazy", decoding: "async", alt, src});
    node.append(medium);
    node.dataset.caption = caption;
    node.dataset.boxes = JSON.stringify(boxes);
    ready(node);
    return node;
  }

  // The text in nodes; `marks` are [start, end) of what an image fails.
  function marked(text, marks) {
    const nodes = [];
    let end = 0;
    for (const [from, to] of marks) {
      nodes.push(text.slice(end, from), make("mark", "", text.slice(from, to)));
      end = to;
    }
    return [...nodes, text.slice(end)];
  }

  const boxesOf = node => JSON.parse(node.dataset.boxes || "[]");
  const mediumOf = node => node.querySelector("img, video");
  const sizeOf = medium => ["width", "height"].map(side => Number(medium.getAttribute(side)));

  const seen = new IntersectionObserver(entries => {
    for (const {target, isIntersecting} of entries) isIntersecting ? play(target) : target.pause();
  });

  function play(video) {
    if (!video.src) video.src = asFile(video.dataset.src);
    if (!still.matches) video.play().catch(() => {});
  }

  // Not every browser plays a clip out of its address.
  function asFile(address) {
    const [kind, content] = address.split(";base64,");
    if (content === undefined) return address;
    return URL.createObjectURL(new Blob([Uint8Array.from(atob(content), c => c.charCodeAt(0))], {type: kind.slice(5)}));
  }

  function ready(node) {
    const medium = mediumOf(node), boxes = boxesOf(node);
    if (node.tagName === "BUTTON") node.setAttribute("aria-haspopup", "dialog");
    medium.classList.toggle("small", sizeOf(medium)[0] <= SMALL_PX);
    draw(node, boxes);
    if (medium.tagName === "VIDEO") seen.observe(medium);
    if (boxes.length) offerBoxes();
  }

  // The picture at the size of the window, and its neighbours by the arrow keys.
  function enlarge(node) {
    list = [...document.querySelectorAll("main .picture, main [data-enlarges]")].filter(each => each.getClientRects().length);
    if (!dialog) {
      dialog = make("dialog", "large");
      dialog.append(make("div", "tools"), make("div", "stage"), make("p", "caption"));
      dialog.setAttribute("aria-label", "Enlarged picture");
      dialog.querySelector(".tools").append(button("←", () => turn(-1)), make("span", "soft"), button("→", () => turn(1)),
        button("Close", () => dialog.close()));
      ["Previous", "", "Next"].forEach((name, i) => name && dialog.querySelector(".tools").children[i].setAttribute("aria-label", name));
      dialog.querySelector(".caption").setAttribute("aria-live", "polite");
      dialog.onkeydown = event => {
        if (event.key === "Escape") dialog.close();
        const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (!step || event.target.tagName === "VIDEO") return;
        event.preventDefault();
        turn(step);
      };
      dialog.onclose = () => list[at]?.closest("button")?.focus();
      document.body.append(dialog);
    }
    show(list.indexOf(node));
    dialog.showModal();
  }

  function turn(step) { if (list[at + step]) show(at + step); }

  function show(place) {
    at = place;
    const node = list[at], medium = mediumOf(node), stage = dialog.querySelector(".stage"), large = medium.cloneNode();
    large.loading = "eager";
    if (large.tagName === "VIDEO") {
      large.controls = true;
      play(large);
    }
    stage.replaceChildren(large);
    const [width, height] = sizeOf(medium);
    stage.style.setProperty("--ratio", width / height || 1);
    draw(stage, boxesOf(node));
    dialog.querySelector(".caption").textContent = node.dataset.caption || medium.alt || medium.getAttribute("aria-label");
    const [before, count, after] = dialog.querySelector(".tools").children;
    count.textContent = `${at + 1} of ${list.length}`;
    before.disabled = at === 0;
    after.disabled = at === list.length - 1;
    node.scrollIntoView({block: "nearest"});
  }

  function tool(name, text, act, label = text) {
    const tools = document.querySelector(".bar .tools");
    if (!tools || tools.querySelector(`[name=${name}]`)) return;
    const node = button(text, act, "");
    node.name = name;
    node.setAttribute("aria-label", label);
    node.title = label;
    tools.append(node);
  }

  function offerBoxes() {
    tool("boxes", "Boxes", toggleBoxes);
    document.querySelector("[name=boxes]")?.setAttribute("aria-pressed", !root.classList.contains("no-boxes"));
  }

  function toggleBoxes() {
    root.classList.toggle("no-boxes");
    offerBoxes();
  }

  function toggleLook() {
    const dark = root.dataset.look ? root.dataset.look === "dark" : night.matches;
    root.dataset.look = dark ? "light" : "dark";
    try { localStorage.setItem("sipo-look", root.dataset.look); } catch { /* as above */ }
  }

  // A table that is wider than the page is scrolled by the keyboard too.
  const scrolled = new ResizeObserver(entries => {
    for (const {target} of entries) {
      const wider = target.scrollWidth > target.clientWidth;
      for (const [name, value] of Object.entries({tabindex: "0", role: "group", "aria-label": "Table, wider than the page"}))
        wider ? target.setAttribute(name, value) : target.removeAttribute(name);
    }
  });

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".picture").forEach(ready);
    tool("look", "◐", toggleLook, "Light or dark");
    document.querySelectorAll(".scroll").forEach(node => scrolled.observe(node));
  });
  document.addEventListener("click", event => {
    const node = event.target.closest?.("main .picture");
    if (node) enlarge(node);
  });
  document.addEventListener("keydown", event => {
    const typing = event.target.matches?.("input, select, textarea"), combined = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "b" && !typing && !combined && document.querySelector(".boxes")) toggleBoxes();
  });
  return {make, button, picture, marked, ready, enlarge};
})();
