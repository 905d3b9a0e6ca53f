// A case: what the model says of the patient, what else is known, and the reviewers' verdicts.

import { thumbnailAddress } from "./api.js";
import { byId, element } from "./dom.js";
import * as words from "./words.js";

const SCOPES = { case: "", region: "region: " };

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

/** Of rows, the newest first, those on regions that no later one of the same reviewer on the same region replaces. */
export function latestRegions(rows) {
  const latest = new Map();
  for (const row of rows.filter(({ scope }) => scope === "region").reverse()) {
    latest.set(JSON.stringify([row.reviewer, row.slide_id, row.region]), row);
  }
  return [...latest.values()];
}

function historyRow({ scope, verdict, reviewer, at, comment, slide_id: slideId }) {
  const row = element("li");
  row.append(
    element("strong", { text: `${SCOPES[scope] ?? ""}${verdict}` }),
    ` · ${reviewer}`,
    element("span", { class: "quiet", text: ` · ${words.timeInWords(at)}` }),
  );
  if (scope !== "case") row.append(element("span", { class: "quiet", text: ` · slide ${slideId}` }));
  if (comment) row.append(element("p", { text: comment }));
  return row;
}

/** The tiles of a slide that a reviewer judged, as one line; the latest verdict on each counts. */
function tilesRow(rows) {
  const latest = new Map([...rows].reverse().map(({ tile, verdict }) => [tile, verdict])); // the newest come first
  const given = [...latest.values()];
  const counts = [...new Set(given)].map((each) => `${given.filter((verdict) => verdict === each).length} ${each}`);
  const [{ reviewer, at, slide_id: slideId }] = rows;
  const row = element("li", {}, element("strong", { text: `tiles: ${counts.join(", ")}` }), ` · ${reviewer}`);
  row.append(element("span", { class: "quiet", text: ` · ${words.timeInWords(at)} · slide ${slideId}` }));
  return row;
}

/** Verdicts as lines, the newest first; those on tiles come last. `onRegion(row)` changes one of the reviewer's own. */
function historyRows(rows, { own, onRegion }) {
  const changeable = latestRegions(rows).filter(({ reviewer }) => reviewer === own);
  const line = (row) => {
    const made = historyRow(row);
    if (!changeable.includes(row)) return made;
    const change = element("button", { class: "button plain", type: "button", text: "Change", "aria-label": "Change this verdict on the region" });
    change.addEventListener("click", ({ detail }) => detail < 2 && onRegion(row));
    made.append(" ", change);
    return made;
  };
  const sets = new Map(); // reviewer and slide -> verdicts on tiles
  for (const row of rows.filter(({ scope }) => scope === "tile")) {
    const key = JSON.stringify([row.reviewer, row.slide_id]);
    sets.set(key, [...(sets.get(key) ?? []), row]);
  }
  return [...rows.filter(({ scope }) => scope !== "tile").map(line), ...[...sets.values()].map(tilesRow)];
}

export class CasePanel {
  /**
   * `onSlide(slideId)` when a slide is chosen, `onRegion(row)` when a verdict on a region is to be changed, `onVerdict(verdict)` when one is given,
   * `onWritten()` when a comment is left.
   */
  constructor({ hiding, onSlide, onRegion, onVerdict, onWritten }) {
    Object.assign(this, { hiding, onSlide, onRegion });
    this.drafts = new Map(); // patient -> a comment that no verdict has taken along yet
    byId("verdict").addEventListener("submit", (event) => event.preventDefault());
    for (const button of byId("verdict").querySelectorAll("[data-verdict]")) {
      // The second click of a double one would fall on the next case.
      button.addEventListener("click", ({ detail }) => detail < 2 && onVerdict(button.dataset.verdict));
    }
    byId("comment").addEventListener("input", () => this.drafts.set(this.item.patient_id, byId("comment").value));
    byId("to-verdict").addEventListener("click", () => byId("verdict").querySelector("[data-verdict]").focus());
    byId("comment").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // it leaves the comment, and nothing else
      onWritten();
    });
  }

  start(run) {
    this.run = run;
  }

  get comment() {
    return byId("comment").value.trim();
  }

  get hasDrafts() {
    return [...this.drafts.values()].some((text) => text.trim() !== "");
  }

  dropDrafts() {
    this.drafts.clear();
    byId("comment").value = "";
  }

  /** A verdict has taken a patient's comment along; what was written since stays. */
  sent(patientId, comment) {
    if (this.drafts.get(patientId)?.trim() !== comment) return;
    this.drafts.delete(patientId);
    if (this.item?.patient_id === patientId) byId("comment").value = "";
  }

  /** Show nobody; comments wait. */
  empty() {
    this.item = null;
    byId("comment").value = "";
    for (const id of ["patient", "case-line", "summary", "prediction", "slides", "clinical", "history"]) {
      byId(id).replaceChildren();
    }
  }

  get goesOn() {
    return byId("go-on").checked;
  }

  /** Show a patient as the server describes them. */
  show(item) {
    if (this.item?.patient_id !== item.patient_id) byId("comment").value = this.drafts.get(item.patient_id) ?? "";
    this.item = item;
    byId("patient").textContent = item.patient_id;
    byId("case-line").textContent = `${item.patient_id} · ${words.shortPrediction(item, this.run)}`;
    byId("verdict-question").textContent = words.questionInWords(item, this.run);
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
    const rows = historyRows(hiding.shown(item), { own: hiding.reviewer, onRegion: this.onRegion });
    const earlier = hiding.shown(item, item.earlier);
    if (earlier.length) {
      rows.push(element("li", { class: "quiet", text: "On predictions of other models:" }));
      rows.push(...historyRows(earlier, { own: null }));
    }
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
