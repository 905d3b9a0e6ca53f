// The heat map's controls and its colour bar. They keep their setting from slide to slide.

import { VIRIDIS } from "./viridis.js";

const byId = (id) => document.getElementById(id);

function paintBar(canvas) {
  const context = canvas.getContext("2d");
  VIRIDIS.forEach((colour, i) => {
    context.fillStyle = colour;
    context.fillRect(i, 0, 1, 1);
  });
}

/** Short, and never ambiguous: 0.000123 rather than 0.00. */
export function numberInWords(value) {
  return Number(value.toPrecision(3)).toString();
}

export class HeatControls {
  constructor({ onHead, onLook }) {
    this.show = byId("show");
    this.head = byId("head");
    this.opacity = byId("opacity");
    this.onLook = onLook;
    this.heads = [];
    paintBar(byId("legend-bar"));
    this.show.addEventListener("change", () => this.#look());
    this.opacity.addEventListener("input", () => this.#look());
    this.head.addEventListener("change", () => {
      this.wanted = this.head.value;
      this.#legend();
      onHead(this.chosen);
    });
    this.offer([], "");
    this.#look();
  }

  get chosen() {
    return this.heads.find(({ name }) => name === this.head.value);
  }

  /** Offer the heads of a slide, keeping the last choice where there is one of that name. */
  offer(heads, problem) {
    this.heads = heads.filter(({ n_tiles: tiles }) => tiles > 0);
    this.problem = problem;
    const options = this.heads.map(({ label, name }) => new Option(label, name));
    this.head.replaceChildren(...(options.length ? options : [new Option("nothing", "")]));
    if (this.heads.some(({ name }) => name === this.wanted)) this.head.value = this.wanted;
    for (const control of [this.show, this.head, this.opacity]) {
      control.disabled = this.heads.length === 0;
    }
    byId("heat").classList.toggle("none", this.heads.length === 0);
    this.#legend();
  }

  toggle() {
    if (!this.show.disabled) this.show.click();
  }

  step(by) {
    if (this.opacity.disabled) return;
    this.opacity.valueAsNumber += by;
    this.#look();
  }

  #legend() {
    const { chosen } = this;
    byId("legend-min").textContent = chosen ? numberInWords(chosen.low) : "–";
    byId("legend-max").textContent = chosen ? numberInWords(chosen.high) : "–";
    byId("note").textContent = chosen ? chosen.note : this.problem;
  }

  #look() {
    byId("opacity-text").textContent = `${this.opacity.value}%`;
    this.onLook(this.show.checked ? this.opacity.valueAsNumber / 100 : 0);
  }
}
