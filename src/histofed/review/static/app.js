// The page: which screen is shown, who is chosen, and what the keys do.

import * as address from "./address.js";
import * as api from "./api.js";
import { CasePanel, latestRegions } from "./case.js";
import { byId, say } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Hiding } from "./hiding.js";
import { listen, writeHelp } from "./keys.js";
import { showResults } from "./results.js";
import { MAGNIFICATIONS } from "./scale.js";
import { Session } from "./session.js";
import { SlideScreen } from "./slide.js";
import { chooseTheme } from "./theme.js";
import { Verdicts } from "./verdicts.js";
import { Worklist } from "./worklist.js";

const REMEMBER_MS = 250;

let run = null; // what the server says of the run
let current = null; // the case that is open
let since = 0; // when it was opened
let turn = 0; // counts the places gone to: an answer for an earlier one comes too late and is dropped
let goingOn = false; // the next case is being looked for
let ahead = null; // the next case, fetched already
let writer = null; // the reviewer whose comments and regions wait in the page
let remembering;

const hasDrafts = () => panel.hasDrafts || screen.regions.hasDrafts;

const session = new Session({
  hasDrafts,
  onChange: () => start(),
  onLeave: () => {
    forget();
    worklist.forget();
    screen.close("");
    show("nothing");
    location.replace(location.pathname); // nothing of what was shown stays in the page
  },
});
const verdicts = new Verdicts(session);
const hiding = new Hiding({ onChange: () => worklist.load(0) });
const worklist = new Worklist(hiding);
const panel = new CasePanel({
  hiding,
  onSlide: (slideId) => isDrawing() || go({ case: current.patient_id, s: slideId }),
  onRegion: changeRegion,
  onVerdict: judgeCase,
  onWritten: () => (screenName() === "gallery" ? gallery.focus() : screen.view.focus()),
});
const screen = new SlideScreen({
  onChange: remember,
  onHead: () => screenName() === "gallery" && openGallery(),
  onRegion: (region, verdict, comment) =>
    give({ scope: "region", ...(screen.view.heatmap.isShown ? {} : { head: null }), slide_id: screen.slide.slide_id, region, verdict, comment }),
  onProblem: (words) => say(words, { problem: true }),
});
const gallery = new Gallery({
  onTile: (tile) => {
    showPart("slide");
    screen.flyToTile(tile);
  },
  onVerdict: (tile, verdict, more) =>
    give({ scope: "tile", slide_id: screen.slide.slide_id, tile, verdict, ...more }),
});

const screenName = () => document.body.dataset.screen;
const isInCase = () => ["slide", "gallery"].includes(screenName());

function show(name) {
  document.body.dataset.screen = name;
  const inCase = name === "slide" || name === "gallery";
  const shown = inCase ? "case" : name;
  for (const each of ["worklist", "case", "results"]) {
    byId(each).hidden = each !== shown;
    if (each === shown) byId(`to-${each}`).setAttribute("aria-current", "page");
    else byId(`to-${each}`).removeAttribute("aria-current");
  }
}

/** Within a case: its slide or the gallery above it. */
function showPart(name) {
  show(name);
  const isGallery = name === "gallery";
  byId("gallery").hidden = !isGallery;
  byId("view").inert = isGallery;
  byId("show-gallery").setAttribute("aria-pressed", String(isGallery));
  byId("show-slide").setAttribute("aria-pressed", String(!isGallery));
  if (!isGallery) screen.view.focus();
  remember();
}

function openGallery() {
  if (!screen.slide || isDrawing()) return;
  showPart("gallery");
  const own = current.history.filter(
    (row) => row.scope === "tile" && row.reviewer === session.reviewer && row.slide_id === screen.slide.slide_id,
  );
  gallery.open(screen.slide, screen.controls.chosen, own);
}

const toggleGallery = () => (screenName() === "gallery" ? showPart("slide") : openGallery());

/** Go to a place of the page; the browser's back button comes back from it. */
function go(state) {
  location.hash = address.write(state);
}

/** Keep the address of the view, so that a copied link brings it back. */
function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    if (current === null || byId("case").hidden || !screen.slide) return;
    if (address.read(location.hash).case !== current.patient_id) return; // on the way to another
    const view = screenName() === "gallery" ? "gallery" : undefined;
    history.replaceState(null, "", address.write({ case: current.patient_id, view, ...screen.state }));
    byId("to-case").href = location.hash;
  }, REMEMBER_MS);
}

async function route() {
  if (run === null || !session.mayLook) return; // start() comes here once it is known
  const asked = address.read(location.hash);
  const mine = ++turn;
  clearTimeout(remembering);
  if (asked.case !== undefined) await openCase(asked, mine);
  else if (asked.screen === "results") {
    show("results");
    byId("results-title").focus();
    await showResults();
  } else {
    show("worklist");
    await worklist.load();
    if (mine === turn) worklist.focus(current?.patient_id);
  }
  if (mine !== turn) return;
  document.title = `${isInCase() ? current.patient_id : run.title} · review`;
}

/** Ask for a case, if it was not fetched ahead; nothing is written on the one that is being left. */
async function fetched(patientId) {
  const known = ahead;
  ahead = null; // others may judge it from now on
  if (known?.patient_id === patientId) return known;
  byId("case").inert = true;
  try {
    return await api.patient(patientId);
  } finally {
    byId("case").inert = false;
  }
}

async function openCase(asked, mine) {
  try {
    if (current?.patient_id !== asked.case || !isInCase()) {
      const item = await fetched(asked.case); // anew: others may have judged it meanwhile
      if (mine !== turn) return;
      [current, since] = [item, performance.now()];
      verdicts.look(null);
    }
    byId("to-case").hidden = false;
    byId("to-case").href = location.hash;
    panel.show(current);
    showPart("slide");
    scrollTo(0, 0); // on a small screen the slide comes first
    await openSlide(asked);
    if (mine !== turn) return;
    verdicts.look(asked.case);
    if (asked.view === "gallery") openGallery();
  } catch (error) {
    if (mine !== turn) return;
    history.replaceState(null, "", "#"); // so that the case can be asked for again
    show("worklist");
    await worklist.load();
    say(error.message, { problem: true });
  }
}

async function openSlide(asked) {
  const { slides } = current;
  const slideId = asked.s ?? slides[0]?.slide_id;
  panel.markSlide(slideId);
  if (slideId === undefined) return screen.close("This case has no slide to show.");
  if (!slides.some((each) => each.slide_id === slideId)) {
    return screen.close(`This case has no slide “${slideId}”. Choose one of its slides.`);
  }
  const unknown = [...asked.unread, ...(await screen.open(slideId, slides, asked))];
  screen.showRegions(latestRegions(hiding.shown(current)), session.reviewer);
  if (unknown.length) {
    say(`The link has parts that this page does not know: ${unknown.join(", ")}. The rest is shown.`, { problem: true });
  }
  return undefined;
}

/** Whether a region that is in sight waits for its answer; says so. */
function isDrawing() {
  const unfinished = isInCase() ? screen.regions.unfinished : null;
  if (unfinished) say(unfinished, { brief: true });
  return unfinished !== null;
}

/** Go to the next (1) or previous (-1) slide of the case, then to the next case. */
async function step(by) {
  if (isDrawing()) return;
  const here = current.slides.findIndex((each) => each.slide_id === screen.slide?.slide_id);
  const slide = here < 0 ? undefined : current.slides[here + by];
  if (slide) go({ case: current.patient_id, s: slide.slide_id });
  else if (!(await stepCase(by))) say(by > 0 ? "This is the last case of the worklist." : "This is the first case of the worklist.", { brief: true });
}

/** Go to the next or previous case; false where there is none. */
async function stepCase(by) {
  const { patient_id: here } = current;
  try {
    const next = await worklist.neighbour(here, by);
    if (next && current?.patient_id === here) go({ case: next });
    return next !== null;
  } catch (error) {
    say(error.message, { problem: true });
    return true;
  }
}

/** Go to the next case that is not judged, unless the reviewer has gone on to anything else since `isStill()`. */
async function goOn(isStill) {
  goingOn = true;
  try {
    const next = await worklist.neighbour(current.patient_id, 1, { todo: true });
    if (next === null) say("Kept. No case that you have not judged follows in the worklist.", { brief: true });
    else if (isStill()) {
      const item = await api.patient(next); // before leaving: what is typed meanwhile belongs to this case
      if (!isStill()) return;
      ahead = item;
      go({ case: next });
    }
  } catch (error) {
    say(error.message, { problem: true });
  } finally {
    goingOn = false;
  }
}

/** A verdict without its words: what is judged, and what the reviewer has before them. */
function asSeen() {
  return {
    patient_id: current.patient_id,
    slide_id: null,
    tile: null,
    region: null,
    comment: "",
    head: screen.controls.chosen?.name ?? null,
    view: { ...screen.state, hidden: hiding.isIndependent(current) },
    blinded: false,
    elapsed_ms: Math.round(performance.now() - since),
    model_digest: run.model_digest,
    scores_digest: screen.slide?.scores_digest ?? null,
  };
}

/** Send a verdict and show it; resolves to the row that was kept, or null. */
async function give(part) {
  const row = await verdicts.send({ ...asSeen(), ...part }, writer); // as it is now: being asked for a name begins the page again
  if (row !== null && current?.patient_id === row.patient_id) {
    if (!current.history.some(({ id }) => id === row.id)) current.history.unshift(row);
    panel.showJudged();
    screen.showRegions(latestRegions(hiding.shown(current)), session.reviewer);
  }
  return row;
}

/** Why a verdict would not be meant for the case in sight; null where it would. */
function whyNot() {
  if (goingOn) return "the next case is being looked for";
  if (address.read(location.hash).case !== current?.patient_id) return "another case is being opened";
  return verdicts.whyNot(current.patient_id);
}

/** Ask again for a verdict on a region that has one; it is a new one, and the old stays in the record. */
function changeRegion({ slide_id: slideId, region, comment }) {
  if (isDrawing() || isWaiting()) return;
  screen.regions.ask(slideId, region, comment);
  if (slideId !== screen.slide?.slide_id) go({ case: current.patient_id, s: slideId });
  else {
    showPart("slide");
    screen.regions.takeUp();
    screen.view.flyToPoints(region);
  }
}

/** Whether a region waits on another slide of the case; says so. */
function isWaiting() {
  const waiting = current.slides.findIndex(({ slide_id: slideId }) => screen.regions.waitsOn(slideId));
  if (waiting >= 0) say(`A region that you drew on slide ${waiting + 1} waits for its answer, or for Esc.`, { brief: true });
  return waiting >= 0;
}

async function judgeCase(verdict) {
  if (isDrawing() || isWaiting()) return;
  const why = whyNot();
  if (why !== null) {
    say(`No verdict was given: ${why}.`, { brief: true });
    return;
  }
  const [{ comment }, before] = [panel, verdicts.acts];
  const kept = await give({ scope: "case", verdict, comment });
  if (kept) panel.sent(kept.patient_id, comment);
  const isStill = () => kept.patient_id === current?.patient_id && verdicts.acts === before;
  if (kept && panel.goesOn && isStill()) await goOn(isStill);
}

const openHelp = () => byId("keys").showModal();

// What the keys do, by the names that keys.js gives them.
const acts = {
  verdict: (key) => {
    const verdict = { A: "agree", D: "disagree", U: "unsure" }[key];
    const isOfRegion = screenName() === "slide" && screen.regions.judge(verdict); // asked last, answered first
    if (!isOfRegion) judgeCase(verdict);
  },
  step: (key) => step(key === "J" ? 1 : -1),
  row: (key) => worklist.move(key === "J" ? 1 : -1),
  comment: () => {
    const isOfRegion = screenName() === "slide" && screen.regions.isAsked;
    byId(isOfRegion ? "region-comment" : "comment").focus();
  },
  worklist: () => isDrawing() || go({}),
  results: () => isDrawing() || go({ screen: "results" }),
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
  gallery: toggleGallery,
  tile: (key, i) => gallery.press(i),
  help: openHelp,
};

function wire() {
  byId("help").addEventListener("click", openHelp);
  document.querySelector(".said").addEventListener("click", () => say("")); // on a small screen it lies over controls
  byId("show-slide").addEventListener("click", () => showPart("slide"));
  byId("show-gallery").addEventListener("click", openGallery);
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
  window.addEventListener("hashchange", route);
  window.addEventListener("beforeunload", (event) => hasDrafts() && event.preventDefault());
  window.addEventListener("pageshow", ({ persisted }) => persisted && lookAgain());
  document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
  document.querySelector(".masthead nav").addEventListener("click", (event) => isDrawing() && event.preventDefault());
  listen(acts, screenName);
}

/** Forget what a reviewer wrote and did not send, and what they saw. */
function forget() {
  panel.dropDrafts();
  screen.regions.dropDrafts();
  hiding.forget();
}

/** Begin, or begin again for another reviewer: what somebody else wrote and did not send is gone. */
async function start() {
  try {
    if (writer !== null && writer !== session.reviewer) forget();
    writer = session.reviewer;
    [run, current] = [null, null];
    turn += 1; // what is still being opened is for who was here before
    verdicts.look(null);
    show("nothing");
    run = await api.run();
    byId("title").textContent = run.title;
    worklist.start(run);
    hiding.start(session.reviewer, run.orders);
    panel.start(run);
    screen.start(run);
    await worklist.load(0);
    await route();
  } catch (error) {
    say(error.message, { problem: true });
  }
}

/** The page is looked at again: somebody else may have come, or it could not begin before. */
async function lookAgain() {
  const couldNotBegin = run === null && screenName() === "nothing";
  await session.again(); // begins anew for somebody else
  if (couldNotBegin && run === null && session.mayLook) await start();
}

async function begin() {
  writeHelp();
  chooseTheme();
  wire();
  try {
    await session.start();
    if (run !== null) return; // somebody entered, which began it
    if (session.mayLook) await start();
  } catch (error) {
    say(error.message, { problem: true });
  }
}

globalThis.histofed = { view: screen.view, screen, worklist, gallery, whyNot }; // for the console and the tests
begin();
