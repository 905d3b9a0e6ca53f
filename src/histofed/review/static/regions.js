// Drawing a region on the slide: a box or a polygon, with the mouse, a finger or the keys.
//
// With the keys, the arrows move the slide under a cross in the middle and Enter sets a corner there.
// A region waits for its answer: it is there again when its slide is, until it is given up.

import { byId, say } from "./dom.js";

const LEAST_PX = 4; // of the screen: a box that is narrower was a slip

const HINTS = {
  rectangle: "Drag a box over the slide, or click two corners. Keys: arrows move, Enter sets a corner under the cross.",
  polygon: "Click the corners, then Finish. Keys: arrows move, Enter sets a corner under the cross, F finishes.",
};

export class RegionTool {
  /** `onVerdict(points, verdict, comment)` resolves to whether it was kept. */
  constructor(view, { onVerdict }) {
    this.view = view;
    this.onVerdict = onVerdict;
    this.kind = null;
    this.aside = new Map(); // slide -> a region that waits there
    const { viewer } = view;
    viewer.addHandler("canvas-click", (event) => {
      if (!this.drawing || !event.quick) return;
      event.preventDefaultAction = true;
      this.#add(this.#at(event.position));
    });
    viewer.addHandler("canvas-double-click", (event) => {
      if (this.kind) event.preventDefaultAction = true;
    });
    viewer.addHandler("canvas-press", (event) => {
      this.pressed = event.position;
    });
    viewer.addHandler("canvas-drag", (event) => this.#drag(event));
    viewer.addHandler("canvas-drag-end", (event) => {
      if (!this.corner || !this.drawing) return;
      event.preventDefaultAction = true; // a quick finger would push the slide on
      this.#close();
    });
    byId("region-finish").addEventListener("click", () => this.finish());
    byId("region-cancel").addEventListener("click", () => this.giveUp());
    byId("region").addEventListener("submit", (event) => event.preventDefault());
    byId("region-comment").addEventListener("keydown", (event) => this.#leaveComment(event));
    for (const button of byId("region").querySelectorAll("[data-region]")) {
      button.addEventListener("click", () => this.#give(button.dataset.region));
    }
  }

  get drawing() {
    return this.kind !== null && !this.done;
  }

  /** What to do with the region before anything else, or null where none is being drawn. */
  get unfinished() {
    if (this.kind === null || this.isSent) return null;
    return this.done ? "Answer for the region first, or press Esc to give it up." : "Finish the region first, or press Esc.";
  }

  get hasDrafts() {
    return (this.kind !== null && this.points.length > 0) || this.aside.size > 0;
  }

  dropDrafts() {
    this.aside.clear();
    this.#stop();
  }

  /** Whether a region waits on a slide that is not open. */
  waitsOn(slideId) {
    return this.aside.has(slideId);
  }

  /** Whether a drawn region waits for its answer here. */
  get isAsked() {
    return this.kind !== null && this.done;
  }

  /** Answer what is asked of a drawn region; false where nothing is asked. */
  judge(verdict) {
    if (!this.isAsked) return false;
    this.#give(verdict);
    return true;
  }

  start(kind) {
    if (!this.view.image) return;
    if (this.isBeingSent()) return;
    if (this.unfinished && this.points.length) {
      say(this.unfinished, { brief: true });
      return;
    }
    if (this.kind === kind) {
      this.giveUp();
      return;
    }
    Object.assign(this, { kind, points: [], corner: null, region: null, done: false, isSent: false });
    byId("region-comment").value = "";
    this.show();
    this.view.focus();
  }

  /** Whether the last region may still come back, if it is not kept; says so. */
  isBeingSent() {
    const isBeing = this.kind !== null && this.isSent;
    if (isBeing) say("The last region's verdict is still being sent.", { brief: true });
    return isBeing;
  }

  /** Draw no more; what was drawn is gone, also what waits on a slide that cannot be shown any more (`failedId`). */
  giveUp(failedId = null) {
    if (this.aside.delete(failedId)) say("The region that was drawn here is given up.", { brief: true });
    else if (this.kind !== null && this.isSent) say("It is too late to give the region up: its verdict is being sent.", { brief: true });
    else this.#stop();
  }

  /** The slide is closed: what was drawn waits for it. */
  putAside() {
    const { kind, points, corner, region, done, isSent } = this;
    if (kind !== null && points.length) {
      const comment = byId("region-comment").value;
      this.aside.set(this.view.slide.slide_id, { comment, drawn: { kind, points, corner, region, done, isSent } });
    }
    this.#stop();
  }

  /** Let a region that has corners already wait on a slide for a verdict. */
  ask(slideId, region, comment) {
    this.aside.set(slideId, { comment, drawn: { kind: "polygon", points: region, corner: null, region, done: true, isSent: false } });
  }

  /** The slide is open: what was drawn there is there again. */
  takeUp() {
    const slideId = this.view.slide.slide_id;
    const found = this.aside.get(slideId);
    if (!found) return;
    this.aside.delete(slideId);
    Object.assign(this, found.drawn);
    byId("region-comment").value = found.comment;
    this.#draw();
    this.show();
    if (this.done && !this.isSent) this.#focusAnswer();
  }

  #stop() {
    const wasHere = byId("region").contains(document.activeElement);
    this.kind = null;
    byId("region-comment").value = "";
    this.view.outlines.showDraft(null);
    this.show();
    if (wasHere) this.view.focus(); // what had the focus is hidden now
  }

  /** Set a corner in the middle of the view; false where nothing is being drawn. */
  cornerInTheMiddle() {
    if (!this.drawing) return false;
    const { x, y } = this.view.place();
    this.#add([x, y]);
    return true;
  }

  /** Close the polygon; false where nothing is being drawn. */
  finish() {
    if (!this.drawing) return false;
    if (this.kind === "polygon" && this.points.length >= 3) this.#close();
    else byId("region-hint").textContent = `A region needs more corners. ${HINTS[this.kind]}`;
    return true;
  }

  #at(position) {
    const { x, y } = this.view.toSlide(position.x, position.y);
    return [x, y];
  }

  #add(point) {
    this.points.push(point);
    if (this.kind === "rectangle" && this.points.length === 2) {
      this.corner = this.points.pop();
      this.#close();
    } else this.#draw();
  }

  #drag(event) {
    if (!this.drawing || this.kind !== "rectangle") return;
    event.preventDefaultAction = true;
    if (this.points.length === 0) this.points = [this.#at(this.pressed)];
    this.corner = this.#at(event.position);
    this.#draw();
  }

  /** The region's corners: of a box, those that are upright on the screen, however it is turned. */
  get #outline() {
    if (this.kind === "polygon" || !this.corner) return this.points;
    const [a, b] = [this.points[0], this.corner].map(([x, y]) => this.view.toScreen(x, y));
    return [[a.x, a.y], [b.x, a.y], [b.x, b.y], [a.x, b.y]].map(([x, y]) => this.#at({ x, y }));
  }

  #draw() {
    this.view.outlines.showDraft(this.done ? this.region : this.#outline, Boolean(this.corner) || this.done);
  }

  #close() {
    if (this.corner && this.#isSlip(this.points[0], this.corner)) {
      Object.assign(this, { points: [], corner: null });
      this.#draw();
      byId("region-hint").textContent = `That box had no size. ${HINTS.rectangle}`;
      return;
    }
    const { width_px0: width, height_px0: height } = this.view.slide;
    this.region = this.#outline.map(([x, y]) => [
      Math.min(Math.max(x, 0), width),
      Math.min(Math.max(y, 0), height),
    ]);
    this.done = true;
    this.#draw();
    this.show();
    this.#focusAnswer();
  }

  /** Put the focus on the comment, where no key answers before Enter; fingers would get a keyboard over the answers. */
  #focusAnswer() {
    const byFinger = matchMedia("(pointer: coarse)").matches;
    byId("region-comment").placeholder = byFinger ? "" : "then Enter and A, D or U";
    const next = byFinger ? byId("region").querySelector("[data-region]") : byId("region-comment");
    setTimeout(() => next.focus()); // the viewer takes the focus with each click
  }

  /** Enter leaves the comment for the keys; so does Esc where something was written, before it gives the region up. */
  #leaveComment(event) {
    const isWritten = byId("region-comment").value.trim() !== "";
    if (event.isComposing) return; // Enter chooses a letter of a larger alphabet
    if (event.key !== "Enter" && !(event.key === "Escape" && isWritten)) return;
    event.preventDefault();
    this.view.focus();
  }

  #isSlip(...corners) {
    const [a, b] = corners.map(([x, y]) => this.view.toScreen(x, y));
    return Math.min(Math.abs(a.x - b.x), Math.abs(a.y - b.y)) < LEAST_PX;
  }

  /** Show what is asked, and of what. */
  show() {
    byId("region").hidden = this.kind === null;
    byId("aim").hidden = !this.drawing;
    byId("region").classList.toggle("done", Boolean(this.done));
    byId("region-finish").hidden = this.done || this.kind !== "polygon";
    const judged = this.view.heatmap.isShown ? "heat map" : "prediction";
    const question = `Does the ${judged} fit what you see here?`;
    byId("region-hint").textContent = this.done ? question : (HINTS[this.kind] ?? "");
    for (const kind of ["rectangle", "polygon"]) {
      byId(`draw-${kind}`).setAttribute("aria-pressed", String(this.kind === kind));
    }
  }

  async #give(verdict) {
    if (this.isSent) {
      say("No verdict was given: the last one is still being sent.", { brief: true });
      return;
    }
    const { region } = this;
    const slideId = this.view.slide.slide_id;
    this.isSent = true;
    const comment = byId("region-comment").value.trim();
    const kept = await this.onVerdict(region, verdict, comment);
    const aside = this.aside.get(slideId);
    if (aside?.drawn.region === region) {
      aside.drawn.isSent = false;
      if (kept) this.aside.delete(slideId);
    }
    if (region !== this.region) return; // its slide was left meanwhile
    this.isSent = false;
    if (kept && byId("region-comment").value.trim() === comment) this.#stop(); // what was written since waits for another
  }
}
