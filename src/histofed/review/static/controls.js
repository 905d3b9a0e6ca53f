// The heat map's controls. They keep their setting from slide to slide.

import { COLOURS, usualColours } from "./colours.js";
import { byId, offer } from "./dom.js";
import { Histogram } from "./histogram.js";
import { scalesFor } from "./scales.js";

const THRESHOLD_STEP = 0.01;
const SCALE_WORDS = { raw: "scores as they are", percentile: "by rank", log: "logarithmic" };

export class HeatControls {
  /** `onHead()` when another heat map is wanted, `onLook()` when it is to look otherwise. */
  constructor({ onHead, onLook }) {
    this.show = byId("show");
    this.head = byId("head");
    this.scale = byId("scale-choice");
    this.colours = byId("colours");
    this.opacity = byId("opacity");
    this.onLook = onLook;
    this.heads = [];
    this.threshold = 0;
    this.chosenColours = {}; // of signed heads and of the others
    this.chosenScale = "raw"; // also while a heat map is shown that it does not fit
    this.histogram = new Histogram({ onThreshold: (place) => this.setThreshold(place) });
    offer(this.colours, COLOURS.map((name) => ({ value: name, text: name })));
    this.colours.addEventListener("change", () => {
      this.chosenColours[Boolean(this.chosen?.signed)] = this.colours.value;
      this.#look();
    });
    this.scale.addEventListener("input", () => {
      this.chosenScale = this.scale.value;
    });
    for (const control of [this.show, this.opacity, this.scale]) {
      control.addEventListener("input", () => this.#look());
    }
    this.head.addEventListener("change", () => {
      this.wanted = this.head.value;
      this.#fit();
      onHead();
    });
    this.offer([], "");
  }

  /** The description of the heat map that is shown, if there is one. */
  get chosen() {
    return this.heads.find(({ name }) => name === this.head.value);
  }

  get look() {
    return { colours: this.colours.value, scale: this.scale.value, threshold: this.threshold };
  }

  get opacityNow() {
    return this.show.checked ? this.opacity.valueAsNumber / 100 : 0;
  }

  /** Offer the heads of a slide, keeping the last choice where there is one of that name. */
  offer(heads, problem) {
    this.heads = heads.filter(({ n_tiles: tiles }) => tiles > 0);
    this.problem = problem;
    const options = this.heads.map(({ label, name }) => ({ value: name, text: label }));
    offer(this.head, options.length ? options : [{ value: "", text: "nothing" }], this.wanted);
    const none = this.heads.length === 0;
    const controls = [this.show, this.head, this.scale, this.colours, this.opacity, this.histogram.threshold];
    for (const control of controls) control.disabled = none;
    byId("heat").classList.toggle("none", none);
    if (none) this.histogram.clear();
    this.#fit();
  }

  /** Take over what an address says; unknown names are returned. */
  set({ h, cm, scale, o, t, on }) {
    const unknown = [];
    if (h !== undefined) this.wanted = h;
    if (h !== undefined && this.heads.some(({ name }) => name === h)) this.head.value = h;
    else if (h !== undefined) unknown.push(`h=${h}`);
    if (cm !== undefined && !COLOURS.includes(cm)) unknown.push(`cm=${cm}`);
    else if (cm !== undefined) this.chosenColours[Boolean(this.chosen?.signed)] = cm;
    if (scale !== undefined && !Object.hasOwn(SCALE_WORDS, scale)) unknown.push(`scale=${scale}`);
    else if (scale !== undefined) this.chosenScale = scale;
    this.#fit();
    if (o !== undefined) this.opacity.valueAsNumber = Math.round(100 * o);
    if (t !== undefined) this.threshold = t;
    if (on !== undefined) this.show.checked = on !== "0";
    this.#look();
    return unknown;
  }

  /** The setting, as an address and a verdict record it. */
  get state() {
    if (!this.chosen) return {};
    const { colours: cm, scale, threshold: t } = this.look;
    const on = this.show.checked ? undefined : "0";
    return { h: this.head.value, cm, scale, t, o: this.opacity.valueAsNumber / 100, on };
  }

  /** Show the histogram and the numbers of what is on the slide. */
  describe(scores) {
    this.histogram.show(scores, this.look, { isShown: this.opacityNow > 0 });
  }

  toggle() {
    if (!this.show.disabled) this.show.click();
  }

  stepOpacity(by) {
    if (this.opacity.disabled) return;
    this.opacity.valueAsNumber += by;
    this.#look();
  }

  stepThreshold(by) {
    this.setThreshold(this.threshold + by * THRESHOLD_STEP);
  }

  setThreshold(place) {
    if (!this.chosen) return;
    this.threshold = Number(Math.min(Math.max(place, 0), 1).toFixed(4));
    this.#look();
  }

  /** The next choice of a list. */
  next(select) {
    if (select.disabled) return;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event(select === this.colours ? "change" : "input"));
  }

  #scales() {
    const possible = this.chosen ? scalesFor(this.chosen) : ["raw"];
    return possible.map((value) => ({ value, text: SCALE_WORDS[value] }));
  }

  /** Offer what fits the heat map that is chosen. */
  #fit() {
    const { chosen } = this;
    const signed = Boolean(chosen?.signed);
    this.colours.value = this.chosenColours[signed] ?? usualColours(signed);
    offer(this.scale, this.#scales(), this.chosenScale);
    byId("note").textContent = chosen ? chosen.note : this.problem;
  }

  #look() {
    byId("opacity-text").textContent = `${this.opacity.value}%`;
    this.onLook();
  }
}
