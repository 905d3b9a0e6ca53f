// What a reviewer says of what they have before them: the case, a tile, a region.

import { say } from "./dom.js";
import { keptInWords } from "./verdicts.js";

export class Judging {
  constructor({ places, session, verdicts, hiding, worklist, panel, screen }) {
    Object.assign(this, { places, session, verdicts, hiding, worklist, panel, screen });
    this.writer = null; // the reviewer whose comments and regions wait in the page
  }

  get hasDrafts() {
    return this.panel.hasDrafts || this.screen.regions.hasDrafts;
  }

  /** Forget what a reviewer wrote and did not send, what they saw and looked for. */
  forget() {
    this.panel.dropDrafts();
    this.screen.regions.dropDrafts();
    this.hiding.forget();
    this.worklist.forget();
  }

  /** What is written from now on is the reviewer's who is here; what somebody else wrote and did not send is gone. */
  start() {
    const { reviewer } = this.session;
    if (this.writer !== null && this.writer !== reviewer) this.forget();
    this.writer = reviewer;
  }

  /** Why a verdict would not be meant for the case in sight; null where it would. */
  whyNot() {
    const patientId = this.places.current?.patient_id;
    if (this.places.isGoingOn) return "the next case is being looked for";
    if (!this.places.isAsked(patientId)) return "another case is being opened";
    return this.verdicts.whyNot(patientId);
  }

  async judgeCase(verdict) {
    const { panel, places, verdicts } = this;
    if (places.isDrawing() || this.#isWaiting()) return;
    const why = this.whyNot();
    if (why !== null) {
      say(`No verdict was given: ${why}.`, { brief: true });
      return;
    }
    const [{ comment }, before] = [panel, verdicts.acts];
    const kept = await this.#give({ scope: "case", verdict, comment });
    if (kept) panel.sent(kept.patient_id, comment);
    const isStill = () => kept.patient_id === places.current?.patient_id && verdicts.acts === before;
    if (!kept || !panel.goesOn || !isStill() || (await places.goOn(isStill)) || !this.session.mayLook) return;
    say(`${keptInWords(kept)} No case that you have not judged follows in the worklist.`, { brief: true });
  }

  judgeTile(verdict) {
    return this.#give({ scope: "tile", ...verdict });
  }

  /** With the heat map off, what is asked is not about it. */
  judgeRegion(region, verdict, comment) {
    const { slide, view } = this.screen;
    const head = view.heatmap.isShown ? {} : { head: null };
    return this.#give({ scope: "region", slide_id: slide.slide_id, region, verdict, comment, ...head });
  }

  /** Ask again for a verdict on a region that has one; it is a new one, and the old stays in the record. */
  changeRegion({ slide_id: slideId, region, comment }) {
    const { places, screen } = this;
    if (places.isDrawing() || this.#isWaiting() || screen.regions.isBeingSent()) return;
    screen.regions.ask(slideId, region, comment);
    if (slideId !== screen.slide?.slide_id) places.openSlideOfCase(slideId);
    else {
      places.showPart("slide");
      screen.regions.takeUp();
      screen.view.flyToPoints(region);
    }
  }

  /** Whether a region waits on another slide of the case; says so. */
  #isWaiting() {
    const { slides } = this.places.current;
    const waiting = slides.findIndex(({ slide_id: slideId }) => this.screen.regions.waitsOn(slideId));
    if (waiting >= 0) say(`A region that you drew on slide ${waiting + 1} waits for its answer, or for Esc.`, { brief: true });
    return waiting >= 0;
  }

  /** A verdict without its words: what is judged, and what the reviewer has before them. */
  #asSeen() {
    const { current, run, since } = this.places;
    const { controls, slide, state } = this.screen;
    return {
      patient_id: current.patient_id,
      slide_id: null,
      tile: null,
      region: null,
      comment: "",
      head: controls.chosen?.name ?? null,
      view: { ...state, hidden: this.hiding.isIndependent(current) },
      blinded: false,
      elapsed_ms: Math.round(performance.now() - since),
      model_digest: run.model_digest,
      scores_digest: slide?.scores_digest ?? null,
    };
  }

  /** Send a verdict and show it; resolves to the row that was kept, or null. */
  async #give(part) {
    const row = await this.verdicts.send({ ...this.#asSeen(), ...part }, this.writer); // as it is now: being asked for a name begins the page again
    const { current } = this.places;
    if (row !== null && current?.patient_id === row.patient_id) {
      if (!current.history.some(({ id }) => id === row.id)) current.history.unshift(row);
      this.places.showJudged();
    }
    return row;
  }
}
