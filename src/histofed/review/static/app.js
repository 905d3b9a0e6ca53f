// The page: its parts, what the keys and buttons do, and for whom it begins.

import * as api from "./api.js";
import { CasePanel } from "./case.js";
import { byId, say } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Hiding } from "./hiding.js";
import { Judging } from "./judging.js";
import { listen, writeHelp } from "./keys.js";
import { Places } from "./places.js";
import { showResults } from "./results.js";
import { MAGNIFICATIONS } from "./scale.js";
import { Session } from "./session.js";
import { SlideScreen } from "./slide.js";
import { chooseTheme } from "./theme.js";
import { Verdicts } from "./verdicts.js";
import { Worklist } from "./worklist.js";

const session = new Session({
  hasDrafts: () => judging.hasDrafts,
  onChange: () => start(),
  onLock: () => places.lock(),
  onLeave: () => {
    judging.forget();
    location.replace(location.pathname); // nothing of what was shown stays in the page
  },
});
const verdicts = new Verdicts(session);
const hiding = new Hiding({ onChange: () => worklist.load(0) });
const worklist = new Worklist(hiding);
const panel = new CasePanel({
  hiding,
  onSlide: (slideId) => places.isDrawing() || places.openSlideOfCase(slideId),
  onRegion: (row) => judging.changeRegion(row),
  onVerdict: (verdict) => judging.judgeCase(verdict),
  onWritten: () => (places.isInGallery ? gallery.focus() : screen.view.focus()),
});
const screen = new SlideScreen({
  onChange: () => places.remember(),
  onHead: () => places.isInGallery && places.showGallery(),
  onRegion: (region, verdict, comment) => judging.judgeRegion(region, verdict, comment),
  onProblem: (words) => say(words, { problem: true }),
});
const gallery = new Gallery({
  onTile: (tile) => {
    places.showPart("slide");
    screen.flyToTile(tile);
  },
  onVerdict: (verdict) => judging.judgeTile(verdict),
});
const places = new Places({ session, verdicts, hiding, worklist, panel, screen, gallery });
const judging = new Judging({ places, session, verdicts, hiding, worklist, panel, screen });

const openHelp = () => byId("keys").showModal();
const isOnSlide = () => places.screenName === "slide";

// What the keys do, by the names that keys.js gives them.
const acts = {
  verdict: (key) => {
    const verdict = { A: "agree", D: "disagree", U: "unsure" }[key];
    const isOfRegion = isOnSlide() && screen.regions.judge(verdict); // asked last, answered first
    if (!isOfRegion) judging.judgeCase(verdict);
  },
  step: (key) => places.step(key === "J" ? 1 : -1),
  row: (key) => worklist.move(key === "J" ? 1 : -1),
  comment: () => {
    const isOfRegion = isOnSlide() && screen.regions.isAsked;
    byId(isOfRegion ? "region-comment" : "comment").focus();
  },
  worklist: () => places.isDrawing() || places.go({}),
  results: () => places.isDrawing() || places.go({ screen: "results" }),
  magnify: (key, i) => screen.view.magnify(MAGNIFICATIONS[i]),
  zoom: (key) => screen.view.zoom({ "-": -1, 0: 0 }[key] ?? 1),
  turn: (key) => screen.turnBy(key === "R" ? 90 : -90),
  beside: () => screen.toggleBeside(),
  top: (key) => screen.flyToTop(key === "N" ? 1 : -1),
  draw: (key) => screen.regions.start(key === "B" ? "rectangle" : "polygon"),
  corner: () => screen.regions.cornerInTheMiddle(),
  finish: () => screen.regions.finish(),
  cancel: () => {
    screen.regions.giveUp(screen.failedId);
    byId("save").open = false;
  },
  heat: () => screen.controls.toggle(),
  opacity: (key) => screen.stepOpacity(key === "]" ? 1 : -1),
  threshold: (key) => screen.controls.stepThreshold(key === "." ? 1 : -1),
  colours: () => screen.controls.next(screen.controls.colours),
  scale: () => screen.controls.next(screen.controls.scale),
  gallery: () => places.toggleGallery(),
  tile: (key, i) => gallery.press(i),
  help: openHelp,
};

function wire() {
  byId("help").addEventListener("click", openHelp);
  document.querySelector(".said").addEventListener("click", () => say("")); // on a small screen it lies over controls
  byId("show-slide").addEventListener("click", () => places.showPart("slide"));
  byId("show-gallery").addEventListener("click", () => places.openGallery());
  byId("results-blinded").addEventListener("change", showResults);
  byId("save").addEventListener("click", (event) => {
    if (!event.target.closest(".menu-list")) return;
    byId("save").open = false;
    byId("save").querySelector("summary").focus(); // what was chosen is hidden now
  });
  byId("copy-link").addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.href).then(
      () => say("The link is copied.", { brief: true }),
      () => say("The browser does not let this page copy; take the link from its address bar.", { problem: true }),
    );
  });
  window.addEventListener("hashchange", () => places.arrive());
  window.addEventListener("beforeunload", (event) => judging.hasDrafts && event.preventDefault());
  window.addEventListener("pageshow", ({ persisted }) => persisted && lookAgain());
  document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
  document.querySelector(".masthead nav").addEventListener("click", (event) => places.isDrawing() && event.preventDefault());
  listen(acts, () => places.screenName);
}

/** Begin, or begin again for another reviewer. */
async function start() {
  try {
    judging.start();
    places.clear();
    const run = await api.run();
    places.begin(run);
    byId("title").textContent = run.title;
    worklist.start(run);
    hiding.start(session.reviewer, run.orders);
    panel.start(run);
    screen.start(run);
    await worklist.load(0);
    await places.arrive();
  } catch (error) {
    say(error.message, { problem: true });
  }
}

/** The page is looked at again: somebody else may have come, or it could not begin before. */
async function lookAgain() {
  const couldNotBegin = places.run === null && places.screenName === "nothing";
  await session.again(); // begins anew for somebody else
  if (couldNotBegin && places.run === null && session.mayLook) await start();
}

async function begin() {
  writeHelp();
  chooseTheme();
  wire();
  try {
    await session.start();
    if (places.run !== null) return; // somebody entered, which began it
    if (session.mayLook) await start();
  } catch (error) {
    say(error.message, { problem: true });
  }
}

// For the console and the tests.
globalThis.histofed = { view: screen.view, screen, worklist, gallery, whyNot: () => judging.whyNot() };
begin();
