// The results: how far reviewers agree with the model and with one another.

import * as api from "./api.js";
import { byId, drawing, element, say } from "./dom.js";
import { percent, plural } from "./words.js";

const BAR = { width: 100, height: 14 }; // units of the drawing; the figure stretches

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
const withEnds = (value, low, high, words, whyNone) =>
  `${words(value)} (${known(low) && known(high) ? `${words(low)} to ${words(high)}` : whyNone})`;
const twoDigits = (value) => value.toFixed(2);

/** A bar from 0 to the value with a line from low to high; it begins at `from` and ends at 1. */
function bar(value, low, high, from = 0) {
  const between = (a, b) => {
    const [x, end] = [a, b].map((each) => ((each - from) / (1 - from)) * BAR.width);
    return { x: Math.min(x, end), width: Math.abs(end - x) };
  };
  const svg = drawing("svg", {
    class: "figure-bar",
    viewBox: `0 0 ${BAR.width} ${BAR.height}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  svg.append(drawing("rect", { class: "figure-track", width: BAR.width, height: BAR.height }));
  svg.append(drawing("rect", { class: "figure-fill", ...between(0, value), height: BAR.height }));
  if (known(low) && known(high)) {
    svg.append(drawing("rect", { class: "figure-line", ...between(low, high), y: BAR.height / 2 - 1, height: 2 }));
  }
  return svg;
}

function table(title, note, heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text })));
  const body = rows.map(([first, ...cells]) => {
    const row = element("tr", {}, element("th", { scope: "row", text: first }));
    for (const cell of cells) {
      row.append(cell instanceof Node ? element("td", { class: "figure" }, cell) : element("td", { text: String(cell) }));
    }
    return row;
  });
  return element(
    "section", {},
    element("h3", { text: title }),
    element("p", { class: "quiet", text: note }),
    element("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": title },
      element("table", { class: "table" }, element("thead", {}, head), element("tbody", {}, ...body))),
  );
}

function agreement({ reviewers }) {
  const rows = reviewers.map(({ reviewer, n_cases: n, agree, disagree, unsure, agreement: ends, n_regions, n_tiles }) => [
    reviewer, n, agree, disagree, unsure,
    ends ? withEnds(...ends, percent) : "not known",
    ends ? bar(...ends) : "",
    n_regions, n_tiles,
  ]);
  const heads = ["Reviewer", "Cases", "Agree", "Disagree", "Unsure", "Agreement (95% confidence interval)", "0 to 100%", "Regions", "Tiles"];
  return table("Agreement with the model", "Of the cases with a clear verdict, how many agree; then on how many regions and tiles there are verdicts.", heads, rows);
}

function pairs({ pairs: found }) {
  const rows = found.map(({ reviewers: [a, b], n, kappa, low, high }) => [
    `${a} and ${b}`, n,
    known(kappa) ? withEnds(kappa, low, high, twoDigits, "no interval: too few cases, or always the same verdict") : "too few cases",
    known(kappa) ? bar(kappa, low, high, -1) : "",
  ]);
  const note = "Cohen's kappa: 1 is full agreement, 0 what chance would give, below 0 less than that.";
  return table("Agreement between reviewers", note, ["Reviewers", "Cases", "Kappa (95% confidence interval)", "−1 to 1"], rows);
}

function precision({ precision_at_k: found, auroc_of_relevance: ranking }) {
  const rows = found.map(({ k, value, low, high, n }) => [
    `${k} highest`, n,
    known(value) ? withEnds(value, low, high, percent, "an interval needs tiles of 2 patients") : "not known",
    known(value) ? bar(value, low, high) : "",
  ]);
  const ranked = ranking
    ? ` A relevant tile has a higher score than another in ${percent(ranking.value)} of pairs, of ${plural(ranking.n, "tile")} judged blinded.`
    : "";
  const note = `Of the tiles with the highest scores, how many were judged relevant.${ranked}`;
  return table("Relevant tiles", note, ["Tiles", "Judged", "Relevant (95% confidence interval)", "0 to 100%"], rows);
}

let turn = 0; // counts what was asked for: an answer to something earlier is dropped

/** Show none. */
export function emptyResults() {
  turn += 1;
  byId("figures").replaceChildren();
  byId("results-count").textContent = "";
}

/** Ask for the results and show them. */
export async function showResults() {
  const mine = ++turn;
  try {
    const found = await api.results({ blinded: byId("results-blinded").value });
    if (mine !== turn) return;
    const ofCases = found.reviewers.filter(({ n_cases: n }) => n > 0);
    const by = ofCases.length ? ` by ${plural(ofCases.length, "reviewer")}` : "";
    byId("results-count").textContent = `${found.n_reviewed} of ${plural(found.n_cases, "case")} reviewed${by}.`;
    const { n_not_counted: others } = found;
    if (others) byId("results-count").append(` Not counted: ${plural(others, "verdict")} on predictions of other models or patients of other runs.`);
    const sections = [];
    if (found.reviewers.length) sections.push(agreement(found));
    if (found.pairs.length) sections.push(pairs(found));
    if (found.precision_at_k.length) sections.push(precision(found));
    if (!sections.length) {
      sections.push(element("p", { text: "Nobody has given a verdict yet. Open a case from the worklist to begin." }));
    }
    byId("figures").replaceChildren(...sections);
  } catch (error) {
    if (mine === turn) say(error.message, { problem: true });
  }
}
