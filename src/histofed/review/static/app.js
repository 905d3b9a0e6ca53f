// The page: who is chosen, what is shown, and what to say when something fails.

import * as api from "./api.js";
import { CaseList, summary } from "./cases.js";
import { HeatControls } from "./controls.js";
import { listen } from "./keys.js";
import { showScale } from "./scale.js";
import { SlideView } from "./slide.js";

const byId = (id) => document.getElementById(id);
const OPACITY_STEP = 10;

let site = null; // what the server says of the run
let turn = 0; // counts the choices: an answer to an earlier one comes too late and is dropped

function say(words, { problem = false } = {}) {
  byId("status").textContent = words;
  byId("status").classList.toggle("problem", problem);
}

const view = new SlideView({
  element: byId("viewer"),
  onView: (micronsPerScreenPixel) =>
    showScale(
      { text: byId("magnification"), ruler: byId("ruler"), rulerText: byId("ruler-text") },
      micronsPerScreenPixel,
    ),
  onProblem: (words) => say(words, { problem: true }),
});
const controls = new HeatControls({
  onHead: () => showHead(turn),
  onLook: (fraction) => view.heatmap.setOpacity(fraction),
});
const list = new CaseList({
  list: byId("cases"),
  filter: byId("filter"),
  count: byId("count"),
  onChoose: showPatient,
});

function showPatient(item, slideId = item.slide_ids[0]) {
  byId("patient").textContent = item.patient_id;
  const ofSlide = slideId === undefined ? "" : ` · slide ${slideId}`;
  byId("summary").textContent = summary(item, site.positive) + ofSlide;
  showTabs(item, slideId);
  if (slideId !== undefined) return showSlide(slideId);
  turn += 1;
  view.close();
  byId("view").classList.add("empty");
  controls.offer([], "");
  return say("This patient has no slide to show.");
}

function showTabs(item, slideId) {
  const tabs = item.slide_ids.map((each, i) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.className = "button";
    tab.textContent = `Slide ${i + 1}`;
    tab.title = each;
    tab.setAttribute("aria-current", String(each === slideId));
    tab.addEventListener("click", () => showPatient(item, each));
    return tab;
  });
  byId("slides").replaceChildren(...(tabs.length > 1 ? tabs : []));
}

async function showSlide(slideId) {
  const mine = ++turn;
  say("Opening the slide …");
  history.replaceState(null, "", `#slide=${encodeURIComponent(slideId)}`);
  try {
    const slide = await api.slide(slideId);
    if (mine !== turn) return;
    await view.open(slide);
    if (mine !== turn) return;
    byId("view").classList.remove("empty");
    controls.offer(slide.heads, slide.heads_problem ?? "This slide has no scores.");
    say("");
    await showHead(mine);
  } catch (error) {
    if (mine !== turn) return;
    view.close();
    byId("view").classList.add("empty");
    controls.offer([], "");
    say(error.message, { problem: true });
  }
}

async function showHead(mine) {
  const head = controls.chosen;
  view.heatmap.clear();
  if (!head) return;
  const { slide_id: slideId, side_px0: sidePx0 } = view.slide;
  try {
    const triples = await api.scores(slideId, head.name);
    if (mine !== turn || head !== controls.chosen) return;
    view.heatmap.show(triples, { low: head.low, high: head.high, sidePx0 });
  } catch (error) {
    if (mine === turn) say(error.message, { problem: true });
  }
}

function fromAddress() {
  const slideId = new URLSearchParams(location.hash.slice(1)).get("slide");
  if (slideId === null) return false;
  const item = list.ofSlide(slideId);
  if (item) list.choose(item, { slideId, focus: true });
  else say(`There is no slide “${slideId}” in this run. Choose a patient.`, { problem: true });
  return true;
}

function wire() {
  const openHelp = () => byId("keys").showModal();
  byId("help").addEventListener("click", openHelp);
  byId("zoom-in").addEventListener("click", () => view.zoom(1));
  byId("zoom-out").addEventListener("click", () => view.zoom(-1));
  byId("zoom-home").addEventListener("click", () => view.zoom(0));
  window.addEventListener("hashchange", fromAddress);
  listen({
    j: () => list.step(1),
    k: () => list.step(-1),
    h: () => controls.toggle(),
    "[": () => controls.step(-OPACITY_STEP),
    "]": () => controls.step(OPACITY_STEP),
    "+": () => view.zoom(1),
    "=": () => view.zoom(1),
    "-": () => view.zoom(-1),
    0: () => view.zoom(0),
    "?": openHelp,
  });
}

async function start() {
  wire();
  say("Loading the patients …");
  try {
    site = await api.cases();
  } catch (error) {
    say(error.message, { problem: true });
    return;
  }
  document.title = `${site.title} · review`;
  byId("title").textContent = site.title;
  byId("task").textContent = `${site.question} · bars show the predicted chance of “${site.positive}”`;
  list.fill(site.cases, site.positive);
  if (site.cases.length === 0) say("This run has no patients.");
  else if (!fromAddress()) list.choose(site.cases[0], { focus: true });
}

globalThis.histofed = { view, controls, list }; // for the browser's console and the tests
start();
