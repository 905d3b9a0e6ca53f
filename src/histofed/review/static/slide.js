// The slide screen: the slide, its heat map, a second view, regions and what can be saved.

import * as api from "./api.js";
import { HeatControls } from "./controls.js";
import { byId, say, sayIfSlow } from "./dom.js";
import { savePicture } from "./picture.js";
import { RegionTool } from "./regions.js";
import { MAGNIFICATIONS, magnificationInWords, showScale } from "./scale.js";
import { SecondView } from "./second.js";
import { TileScores } from "./tilescores.js";
import { SlideView } from "./viewer.js";

const TOP_TILES = 50;
const FOR_QUPATH = 500; // tiles of highest score that are handed to QuPath
const OPACITY_STEP = 10;

export class SlideScreen {
  /** `onChange()` whenever the address has changed, `onHead()` when another heat map is chosen. */
  constructor({ onChange, onHead, onRegion, onProblem }) {
    this.onChange = onChange;
    this.turn = 0; // counts what was asked for: an answer to something earlier is dropped
    this.top = -1;
    this.view = new SlideView({
      element: byId("viewer"),
      label: "Slide",
      onView: () => this.#moved(),
      onProblem,
    });
    this.controls = new HeatControls({
      onHead: () => {
        this.#showHead(this.turn);
        onHead();
      },
      onLook: () => this.#look(),
    });
    this.second = new SecondView({
      first: this.view,
      controls: this.controls,
      onChange,
    });
    this.regions = new RegionTool(this.view, { onVerdict: onRegion });
    this.#wire();
  }

  start(run) {
    this.run = run;
    this.#look();
  }

  get slide() {
    return this.view.slide;
  }

  get scores() {
    return this.view.heatmap.scores;
  }

  /** What an address and a verdict record of the view. */
  get state() {
    if (!this.slide || !this.view.image) return {};
    const place = this.view.whole ? { r: this.view.viewport.getRotation() || undefined } : this.view.place();
    return { s: this.slide.slide_id, ...place, ...this.controls.state, ...this.second.state };
  }

  /** Show a slide as an address describes it; resolves to the parts that name nothing. */
  async open(slideId, slides, asked = {}) {
    const mine = ++this.turn;
    Object.assign(this, { slides, top: -1, failedId: null });
    this.#empty(); // never another patient's slide under this one's name
    const opened = sayIfSlow("Opening the slide …");
    try {
      const slide = await api.slide(slideId);
      if (mine !== this.turn) return [];
      await this.view.open(slide);
      if (mine !== this.turn) return [];
      byId("view").classList.remove("empty");
      this.regions.takeUp(); // before anybody can draw another
      this.controls.offer(slide.heads, slide.heads_problem ?? "This slide has no scores.");
      const unknown = this.controls.set(asked);
      opened();
      await this.#showHead(mine);
      if (mine !== this.turn) return [];
      if (asked.s2 && slides.some((each) => each.slide_id === asked.s2)) {
        await this.second.open(slides, asked.s2, asked.h2 === "plain" ? "" : asked.h2);
        if (asked.h2 && this.second.lacks(asked.h2)) unknown.push(`h2=${asked.h2}`);
      } else if (asked.s2) unknown.push(`s2=${asked.s2}`);
      if (asked.z !== undefined || asked.r !== undefined) this.view.goTo(asked);
      byId("degrees").value = String(Math.round(asked.r ?? 0));
      return unknown;
    } catch (error) {
      if (mine !== this.turn) return [];
      this.#empty();
      this.failedId = slideId;
      opened();
      say(error.message, { problem: true });
      return [];
    } finally {
      opened();
    }
  }

  /** Show no slide. */
  close(words) {
    this.turn += 1;
    this.failedId = null;
    this.#empty();
    say(words, { problem: words !== "" });
  }

  /** Outline the regions of verdicts on this slide; those of others than the reviewer bear a name. */
  showRegions(rows, own) {
    const here = rows.filter(({ slide_id: slideId }) => slideId === this.slide?.slide_id);
    this.view.outlines.showRegions(
      here.map(({ region, verdict, reviewer }) => ({ points: region, verdict, name: reviewer === own ? "" : reviewer })),
    );
  }

  /** Fly to the next (1) or previous (-1) of the tiles of highest score. */
  flyToTop(by) {
    if (!this.scores) return;
    const best = this.scores.best(TOP_TILES);
    const next = Math.min(Math.max(this.top + by, 0), best.length - 1);
    const end = next === this.top ? { 0: ", the first", [best.length - 1]: ", the last" }[next] : "";
    this.top = next;
    this.view.flyTo(this.scores.box(best[next]));
    say(`Tile ${next + 1} of the ${best.length} highest${end}.`, { brief: true });
  }

  /** Fly to the square that begins at a corner. */
  flyToTile({ x_px0: x, y_px0: y }) {
    const side = this.slide.side_px0;
    this.view.flyTo({ x, y, width: side, height: side });
  }

  toggleBeside() {
    if (!this.slide) return;
    if (this.second.isOpen) {
      this.second.close();
      return;
    }
    const here = this.slides.findIndex(({ slide_id: id }) => id === this.slide.slide_id);
    const other = this.slides[here + 1] ?? this.slides[here - 1] ?? this.slides[here];
    this.second.open(this.slides, other.slide_id, other === this.slides[here] ? "" : this.controls.chosen?.name);
  }

  turnBy(degrees) {
    if (!this.view.image) return;
    this.#turnTo(this.view.viewport.getRotation() + degrees);
  }

  stepOpacity(by) {
    this.controls.stepOpacity(by * OPACITY_STEP);
  }

  async #showHead(mine) {
    const head = this.controls.chosen;
    this.view.heatmap.clear();
    this.controls.histogram.clear(); // its numbers are of what was shown before
    if (!head) return;
    const { slide_id: slideId, side_px0: sidePx0 } = this.slide;
    try {
      const triples = await api.scores(slideId, head.name);
      if (mine !== this.turn || head !== this.controls.chosen) return;
      this.view.heatmap.show(new TileScores(triples, { sidePx0, head }));
      this.#look();
    } catch (error) {
      if (mine === this.turn) say(error.message, { problem: true });
    }
  }

  #look() {
    const { heatmap } = this.view;
    heatmap.setOpacity(this.controls.opacityNow);
    heatmap.setLook(this.controls.look);
    this.regions.show();
    if (heatmap.scores) this.controls.describe(heatmap.scores);
    this.second.look();
    this.#links();
    this.onChange();
  }

  #moved() {
    const microns = this.view.micronsPerScreenPixel();
    const parts = { text: byId("magnification"), ruler: byId("ruler"), rulerText: byId("ruler-text") };
    showScale(parts, microns);
    for (const button of byId("magnifications").querySelectorAll("[data-times]")) {
      const near = Math.abs((10 / microns / Number(button.dataset.times)) - 1) < 0.005;
      button.setAttribute("aria-pressed", String(near));
    }
    this.second.link?.follow(this.view);
    this.onChange();
  }

  #turnTo(degrees) {
    this.view.turn(degrees);
    byId("degrees").value = String(Math.round(((degrees % 360) + 360) % 360));
  }

  #empty() {
    this.second.close();
    this.regions.putAside();
    this.view.close();
    this.controls.offer([], "");
    byId("view").classList.add("empty");
    byId("save-geojson").removeAttribute("href");
  }

  #links() {
    if (!this.slide) return;
    const head = this.controls.chosen?.name;
    byId("save-geojson").href = api.geojsonAddress(this.slide.slide_id, { head, top: FOR_QUPATH });
    byId("save-colours").href = api.coloursAddress(this.controls.look.colours);
  }

  #wire() {
    const presets = MAGNIFICATIONS.map((times, i) => {
      const button = document.createElement("button");
      Object.assign(button, { className: "button", type: "button", textContent: `${times}×`, title: `Key ${i + 1}` });
      button.dataset.times = String(times);
      button.addEventListener("click", () => this.view.magnify(times));
      return button;
    });
    byId("magnifications").append(...presets);
    byId("zoom-in").addEventListener("click", () => this.view.zoom(1));
    byId("zoom-out").addEventListener("click", () => this.view.zoom(-1));
    byId("zoom-home").addEventListener("click", () => this.view.zoom(0));
    byId("degrees").addEventListener("change", () => this.#turnTo(byId("degrees").valueAsNumber || 0));
    byId("degrees").addEventListener("keydown", ({ key }) => key === "Enter" && this.view.focus());
    byId("beside").addEventListener("click", () => this.toggleBeside());
    for (const kind of ["rectangle", "polygon"]) {
      byId(`draw-${kind}`).addEventListener("click", () => this.regions.start(kind));
    }
    byId("save-picture").addEventListener("click", () => {
      if (this.slide) savePicture(this, this.run, magnificationInWords(this.view.micronsPerScreenPixel()));
    });
  }
}
