// Where the page is: its screen, the case that is open, and going from there to another.

import * as address from "./address.js";
import * as api from "./api.js";
import { latestRegions } from "./case.js";
import { byId, say } from "./dom.js";
import { emptyResults, showResults } from "./results.js";

const REMEMBER_MS = 250;

export class Places {
  #turn = 0; // counts the places gone to: an answer for an earlier one comes too late and is dropped
  #ahead = null; // the next case, fetched already
  #remembering;
  #stowed = ""; // the address that nobody may see just now

  constructor({ session, verdicts, hiding, worklist, panel, screen, gallery }) {
    Object.assign(this, { session, verdicts, hiding, worklist, panel, screen, gallery });
    this.run = null; // what the server says of the run
    this.current = null; // the case that is open
    this.since = 0; // when it was opened
    this.isGoingOn = false; // the next case is being looked for
  }

  get screenName() {
    return document.body.dataset.screen;
  }

  get isInCase() {
    return ["slide", "gallery"].includes(this.screenName);
  }

  get isInGallery() {
    return this.screenName === "gallery";
  }

  show(name) {
    document.body.dataset.screen = name;
    const shown = this.isInCase ? "case" : name;
    for (const each of ["worklist", "case", "results"]) {
      byId(each).hidden = each !== shown;
      if (each === shown) byId(`to-${each}`).setAttribute("aria-current", "page");
      else byId(`to-${each}`).removeAttribute("aria-current");
    }
  }

  /** Within a case: its slide or the gallery above it. */
  showPart(name) {
    this.show(name);
    byId("gallery").hidden = !this.isInGallery;
    byId("view").inert = this.isInGallery;
    byId("show-gallery").setAttribute("aria-pressed", String(this.isInGallery));
    byId("show-slide").setAttribute("aria-pressed", String(!this.isInGallery));
    if (!this.isInGallery) this.screen.view.focus();
    this.remember();
  }

  openGallery() {
    if (!this.screen.slide || this.isDrawing()) return;
    this.showPart("gallery");
    this.showGallery();
  }

  /** The tiles of the heat map that is chosen. */
  showGallery() {
    const { slide, controls } = this.screen;
    const { reviewer } = this.session;
    const own = this.current.history.filter(
      (row) => row.scope === "tile" && row.reviewer === reviewer && row.scores_digest === slide.scores_digest,
    );
    this.gallery.open(slide, controls.chosen, own);
  }

  toggleGallery() {
    if (this.isInGallery) this.showPart("slide");
    else this.openGallery();
  }

  /** The verdicts on the open case as they are now: its lines, and the regions on its slide. */
  showJudged() {
    this.panel.showJudged();
    this.#showRegions();
  }

  #showRegions() {
    this.screen.showRegions(latestRegions(this.hiding.shown(this.current)), this.session.reviewer);
  }

  /** Go to a place of the page; the browser's back button comes back from it. */
  go(state) {
    location.hash = address.write(state);
  }

  /** Whether a patient's case is the one that the address asks for. */
  isAsked(patientId) {
    return address.read(location.hash).case === patientId;
  }

  /** Keep the address of the view, so that a copied link brings it back. */
  remember() {
    clearTimeout(this.#remembering);
    this.#remembering = setTimeout(() => {
      if (this.current === null || byId("case").hidden || !this.screen.slide) return;
      const { patient_id: patientId } = this.current;
      if (!this.isAsked(patientId)) return; // on the way to another
      const view = this.isInGallery ? "gallery" : undefined;
      history.replaceState(null, "", address.write({ case: patientId, view, ...this.screen.state }));
      byId("to-case").href = location.hash;
    }, REMEMBER_MS);
  }

  /** Begin for who may look, at the address where somebody had to sign in. */
  begin(run) {
    this.run = run;
    if (this.#stowed && location.hash === "") history.replaceState(null, "", this.#stowed);
    this.#stowed = "";
  }

  /** Nobody may look any more: of what was shown nothing stays in the page but what was written. */
  lock() {
    if (this.run === null) return;
    this.#stow();
    this.clear();
    this.screen.close("");
    for (const part of [this.panel, this.worklist, this.gallery]) part.empty();
    emptyResults();
    byId("to-case").hidden = true;
    byId("to-case").href = "#";
  }

  /** Take the patient out of the address until somebody has signed in. */
  #stow() {
    this.#stowed = location.hash;
    history.replaceState(null, "", location.pathname);
  }

  /** Leave every place; what is still being opened is for who was here before. */
  clear() {
    [this.run, this.current] = [null, null];
    this.#turn += 1;
    this.verdicts.look(null);
    this.show("nothing");
  }

  /** Show what the address asks for. */
  async arrive() {
    if (!this.session.mayLook && location.hash) this.#stow();
    if (this.run === null || !this.session.mayLook) return; // beginning comes here once it is known
    const asked = address.read(location.hash);
    const mine = ++this.#turn;
    clearTimeout(this.#remembering);
    if (asked.case !== undefined) await this.#openCase(asked, mine);
    else if (asked.screen === "results") {
      this.show("results");
      byId("results-title").focus();
      this.#tellUnknown(asked.unread);
      await showResults();
    } else {
      this.show("worklist");
      this.#tellUnknown(asked.unread);
      await this.worklist.load();
      if (mine === this.#turn) this.worklist.focus(this.current?.patient_id);
    }
    if (mine !== this.#turn) return;
    document.title = `${this.isInCase ? this.current.patient_id : this.run.title} · review`;
  }

  /** Ask for a case, if it was not fetched ahead; nothing is written on the one that is being left. */
  async #fetched(patientId) {
    const known = this.#ahead;
    this.#ahead = null; // others may judge it from now on
    if (known?.patient_id === patientId) return known;
    byId("case").inert = true;
    try {
      return await api.patient(patientId);
    } finally {
      byId("case").inert = false;
    }
  }

  async #openCase(asked, mine) {
    try {
      if (this.current?.patient_id !== asked.case || !this.isInCase) {
        const item = await this.#fetched(asked.case); // anew: others may have judged it meanwhile
        if (mine !== this.#turn) return;
        [this.current, this.since] = [item, performance.now()];
        this.verdicts.look(null);
      }
      byId("to-case").hidden = false;
      byId("to-case").href = location.hash;
      this.panel.show(this.current);
      this.showPart("slide");
      scrollTo(0, 0); // on a small screen the slide comes first
      await this.#openSlide(asked);
      if (mine !== this.#turn) return;
      this.verdicts.look(asked.case);
      if (asked.view === "gallery") this.openGallery();
    } catch (error) {
      if (mine !== this.#turn) return;
      history.replaceState(null, "", "#"); // so that the case can be asked for again
      this.show("worklist");
      await this.worklist.load();
      say(error.message, { problem: true });
    }
  }

  async #openSlide(asked) {
    const { slides } = this.current;
    const slideId = asked.s ?? slides[0]?.slide_id;
    this.panel.markSlide(slideId);
    if (slideId === undefined) return this.screen.close("This case has no slide to show.");
    if (!slides.some((each) => each.slide_id === slideId)) {
      return this.screen.close(`This case has no slide “${slideId}”. Choose one of its slides.`);
    }
    const unknown = [...asked.unread, ...(await this.screen.open(slideId, slides, asked))];
    this.#showRegions();
    return this.#tellUnknown(unknown);
  }

  #tellUnknown(parts) {
    if (!parts.length) return;
    say(`The link has parts that this page does not know: ${parts.join(", ")}. The rest is shown.`, { problem: true });
  }

  /** Whether a region that is in sight waits for its answer; says so. */
  isDrawing() {
    const unfinished = this.isInCase ? this.screen.regions.unfinished : null;
    if (unfinished) say(unfinished, { brief: true });
    return unfinished !== null;
  }

  openSlideOfCase(slideId) {
    this.go({ case: this.current.patient_id, s: slideId });
  }

  /** Go to the next (1) or previous (-1) slide of the case, then to the next case. */
  async step(by) {
    if (this.isDrawing()) return;
    const { slides } = this.current;
    const here = slides.findIndex((each) => each.slide_id === this.screen.slide?.slide_id);
    const slide = here < 0 ? undefined : slides[here + by];
    if (slide) this.openSlideOfCase(slide.slide_id);
    else if (!(await this.#stepCase(by))) say(`This is the ${by > 0 ? "last" : "first"} case of the worklist.`, { brief: true });
  }

  /** Go to the next or previous case; false where there is none. */
  async #stepCase(by) {
    const { patient_id: here } = this.current;
    try {
      const next = await this.worklist.neighbour(here, by);
      if (next && this.current?.patient_id === here) this.go({ case: next });
      return next !== null;
    } catch (error) {
      say(error.message, { problem: true });
      return true;
    }
  }

  /**
   * Go to the next case that is not judged, unless the reviewer has gone on to anything else since `isStill()`;
   * resolves to false where none follows.
   */
  async goOn(isStill) {
    this.isGoingOn = true;
    try {
      const next = await this.worklist.neighbour(this.current.patient_id, 1, { todo: true });
      if (next === null) return false;
      const item = isStill() ? await api.patient(next) : null; // before leaving: what is typed meanwhile belongs to this case
      if (item !== null && isStill()) {
        this.#ahead = item;
        this.go({ case: next });
      }
      return true;
    } catch (error) {
      say(error.message, { problem: true });
      return true;
    } finally {
      this.isGoingOn = false;
    }
  }
}
