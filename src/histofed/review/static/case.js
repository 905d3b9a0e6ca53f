// A case: what the model says of the patient, what else is known, and the reviewers' verdicts.

import { thumbnailAddress } from "./api.js";
import { byId, element } from "./dom.js";
import * as words from "./words.js";

const SCOPES = { case: "", tile: "tile: ", region: "region: " };

function predictionParts(item, run, hidden) {
  const parts = words.predictionLines(item, run).map(({ name, value, interval, fraction }) => {
    const line = element("p", { class: "output" });
    line.append(element("strong", { text: value }), ` ${name}`);
    if (fraction !== null && Number.isFinite(fraction)) {
      const fill = element("span", { class: "fill" });
      fill.style.width = words.percent(fraction);
      line.append(element("span", { class: "track", "aria-hidden": "true" }, fill));
    }
    if (interval) line.append(element("span", { class: "interval quiet", text: interval }));
    return line;
  });
  const add = (text, name = "quiet") => text && parts.push(element("p", { class: name, text }));
  add(words.possibleInWords(item.possible));
  if (item.discordant && !hidden) add("⇄ The prediction contradicts the label.", "flag");
  if (words.isUnusual(item)) add(`! Unlike what the model knows. ${words.unusualInWords(item)}`, "flag");
  return parts;
}

function historyRow({ scope, verdict, reviewer, at, comment, slide_id: slideId, blinded }) {
  const row = element("li");
  row.append(
    element("strong", { text: `${SCOPES[scope] ?? ""}${verdict}` }),
    ` · ${reviewer}`,
    element("span", { class: "quiet", text: ` · ${words.timeInWords(at)}` }),
  );
  const where = [scope !== "case" && slideId ? `slide ${slideId}` : "", blinded ? "blinded" : ""];
  const more = where.filter(Boolean).join(", ");
  if (more) row.append(element("span", { class: "quiet", text: ` · ${more}` }));
  if (comment) row.append(element("p", { text: comment }));
  return row;
}

export class CasePanel {
  /**
   * `onSlide(slideId)` when a slide is chosen, `onVerdict(verdict, comment)` when one is given,
   * `onWritten()` when a comment is left.
   */
  constructor({ hiding, onSlide, onVerdict, onWritten }) {
    Object.assign(this, { hiding, onSlide });
    byId("verdict").addEventListener("submit", (event) => event.preventDefault());
    for (const button of byId("verdict").querySelectorAll("[data-verdict]")) {
      button.addEventListener("click", () => onVerdict(button.dataset.verdict));
    }
    byId("comment").addEventListener("keydown", (event) => {
      if (event.key === "Escape") onWritten();
    });
  }

  start(run) {
    this.run = run;
  }

  get comment() {
    return byId("comment").value.trim();
  }

  get goesOn() {
    return byId("go-on").checked;
  }

  /** Show a patient as the server describes them. */
  show(item) {
    if (this.item?.patient_id !== item.patient_id) byId("comment").value = "";
    this.item = item;
    byId("patient").textContent = item.patient_id;
    byId("slides").replaceChildren(...item.slides.map((slide, i) => this.#thumbnail(slide, i)));
    byId("clinical-part").hidden = item.clinical.length === 0;
    byId("clinical").replaceChildren(
      ...item.clinical.map(({ name, value }) =>
        element("div", {}, element("dt", { text: name }), element("dd", { text: value ?? "not known" })),
      ),
    );
    this.showJudged();
  }

  /** Show what depends on who has judged the case. */
  showJudged() {
    const { item, hiding } = this;
    const hidden = hiding.of(item);
    const label = hidden ? "shown after your verdict" : words.labelInWords(item);
    byId("summary").textContent = `${item.site} · label: ${label}`;
    byId("prediction").replaceChildren(...predictionParts(item, this.run, hidden));
    const rows = hiding.shown(item).map(historyRow);
    const none = hidden ? "Those of others are shown after yours." : "None yet.";
    if (hidden || !rows.length) rows.push(element("li", { class: "quiet", text: none }));
    byId("history").replaceChildren(...rows);
    const own = item.history.find((each) => each.scope === "case" && each.reviewer === hiding.reviewer);
    for (const button of byId("verdict").querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === own?.verdict));
    }
  }

  markSlide(slideId) {
    for (const button of byId("slides").querySelectorAll("button")) {
      button.setAttribute("aria-current", String(button.dataset.slide === slideId));
    }
  }

  #thumbnail({ slide_id: slideId, problem, n_tiles: tiles }, i) {
    const button = element("button", { class: "thumbnail", type: "button", "data-slide": slideId, title: slideId });
    if (problem) button.append(element("span", { class: "flag", text: "! cannot be shown" }));
    else button.append(element("img", { src: thumbnailAddress(slideId), alt: "", loading: "lazy" }));
    button.append(element("span", { text: `Slide ${i + 1}` }));
    if (tiles) button.append(element("span", { class: "quiet", text: words.plural(tiles, "tile") }));
    button.addEventListener("click", () => this.onSlide(slideId));
    return element("li", {}, button);
  }
}
