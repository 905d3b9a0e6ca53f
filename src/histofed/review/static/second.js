// The view beside the first: another slide of the patient, another heat map, or the plain slide.

import * as api from "./api.js";
import { Link } from "./beside.js";
import { usualColours } from "./colours.js";
import { byId, element, offer, say } from "./dom.js";
import { paintBar, ticks } from "./histogram.js";
import { TileScores } from "./tilescores.js";
import { SlideView } from "./viewer.js";

export class SecondView {
  /** `onChange()` when what is shown beside the `first` view changes. */
  constructor({ first, controls, onChange }) {
    Object.assign(this, { first, controls, onChange });
    this.view = null;
    this.turn = 0;
    byId("slide-2").addEventListener("change", () => this.show(byId("slide-2").value, ""));
    byId("head-2").addEventListener("change", () => this.showHead(byId("head-2").value));
  }

  get isOpen() {
    return !byId("second").hidden;
  }

  get state() {
    return this.isOpen ? { s2: byId("slide-2").value, h2: byId("head-2").value || "plain" } : {};
  }

  /** Whether there is a slide in it, and no such heat map. */
  lacks(head) {
    return this.isOpen && Boolean(this.view.image) && (byId("head-2").value || "plain") !== head;
  }

  /** Open it with these slides to choose from. */
  async open(slides, slideId, head = "") {
    byId("second").hidden = false;
    byId("beside").setAttribute("aria-pressed", "true");
    this.#make();
    offer(
      byId("slide-2"),
      slides.map(({ slide_id: value }, i) => ({ value, text: `Slide ${i + 1}` })),
      slideId,
    );
    await this.show(slideId, head);
  }

  close() {
    if (!this.isOpen) return;
    this.turn += 1;
    this.link.untie();
    this.view.close();
    byId("second").hidden = true;
    byId("beside").setAttribute("aria-pressed", "false");
    this.onChange();
  }

  async show(slideId, head) {
    const mine = ++this.turn;
    this.link.untie();
    try {
      const slide = await api.slide(slideId);
      if (mine !== this.turn) return;
      await this.view.open(slide);
      if (mine !== this.turn) return;
      const plain = { value: "", text: "the plain slide" };
      const heads = slide.heads.filter(({ n_tiles: tiles }) => tiles > 0);
      offer(byId("head-2"), [plain, ...heads.map(({ name, label }) => ({ value: name, text: label }))], head);
      await new Promise(requestAnimationFrame); // both have their new size now
      if (mine !== this.turn) return;
      this.link.tie();
      await this.showHead(byId("head-2").value);
    } catch (error) {
      if (mine === this.turn) say(error.message, { problem: true });
    }
  }

  async showHead(name) {
    const { slide } = this.view;
    const mine = this.turn;
    const isLate = () => mine !== this.turn || byId("head-2").value !== name;
    this.view.heatmap.clear();
    const head = slide.heads.find((each) => each.name === name);
    if (head) {
      try {
        const triples = await api.scores(slide.slide_id, name);
        if (isLate()) return;
        this.view.heatmap.show(new TileScores(triples, { sidePx0: slide.side_px0, head }));
      } catch (error) {
        if (isLate()) return;
        say(error.message, { problem: true });
      }
    }
    this.look();
    this.onChange();
  }

  /** The same scale, threshold and opacity as the first; signed scores keep a pale middle. */
  look() {
    if (!this.isOpen || !this.view) return;
    const { scores } = this.view.heatmap;
    const { controls } = this;
    const signed = Boolean(scores?.head.signed);
    const same = signed === Boolean(controls.chosen?.signed);
    const colours = same ? controls.look.colours : usualColours(signed);
    const look = { ...controls.look, colours };
    this.view.heatmap.setOpacity(controls.opacityNow);
    this.view.heatmap.setLook(look);
    const legend = byId("legend-2");
    legend.hidden = !scores;
    if (!scores) return;
    const bar = element("canvas", { class: "legend-bar", width: 256, height: 1, "aria-hidden": "true" });
    paintBar(bar, look.colours, look.threshold);
    const numbers = element("div", { class: "ticks" });
    numbers.append(...ticks(scores.scale(look.scale), [0, 0.5, 1]));
    legend.replaceChildren(bar, numbers);
    const { scores: first } = this.first.heatmap;
    if (first?.head.name === scores.head.name && this.first.slide.slide_id === this.view.slide.slide_id) return;
    legend.append(element("p", { class: "legend-words", text: "A scale of its own: the same colour is another score in the view beside it." }));
  }

  #make() {
    if (this.view) return;
    this.view = new SlideView({
      element: byId("viewer-2"),
      label: "Slide beside it",
      navigator: false,
      onView: () => this.link.follow(this.view),
      onProblem: (words) => say(words, { problem: true }),
    });
    this.link = new Link(this.first, this.view);
  }
}
