// The colour bar with its numbers, the histogram of the scores above it, and the threshold in both.
//
// Both share one axis, the colour bar's: what stands above a colour are the tiles of that colour.

import { colourIndex, cssColours } from "./colours.js";
import { byId, drawing, element } from "./dom.js";
import { numberInWords, percent, plural } from "./words.js";

const BINS = 64;
const TICKS = [0, 0.25, 0.5, 0.75, 1];

/** How many tiles lie in each of `BINS` equal parts of the colour bar. */
export function countTiles(places) {
  const counts = new Uint32Array(BINS);
  for (let i = 0; i < places.length; i += 1) {
    if (places[i] >= 0) counts[Math.min(Math.floor(places[i] * BINS), BINS - 1)] += 1;
  }
  return counts;
}

/** Paint the colour bar; below the threshold it is bare, as the tiles are. */
export function paintBar(canvas, colours, threshold) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, 1);
  cssColours(colours).forEach((colour, i) => {
    if (i < colourIndex(threshold)) return;
    context.fillStyle = colour;
    context.fillRect(i, 0, 1, 1);
  });
}

/** The numbers under a colour bar, at places along it. */
export function ticks(scale, places = TICKS) {
  return places.map((place) => {
    const tick = element("span", { class: "number", text: numberInWords(scale.score(place)) });
    tick.style.left = percent(place);
    return tick;
  });
}

/** `Coloured: 12 tiles (3%), 0.0031 and above.`, of the tiles with these `values` at these `places` of the bar. */
export function thresholdInWords(threshold, values, places) {
  if (threshold <= 0) return "All tiles are coloured.";
  let [shown, all, lowest] = [0, 0, Infinity];
  for (let i = 0; i < places.length; i += 1) {
    if (places[i] >= 0) all += 1; // not where a tile has no score
    if (!(places[i] >= threshold)) continue;
    shown += 1;
    lowest = Math.min(lowest, values[i]);
  }
  if (shown === 0) return "No tile is coloured.";
  const share = all ? (100 * shown) / all : 0;
  const part = share > 0 && share < 1 ? "under 1" : String(Math.round(share));
  return `Coloured: ${plural(shown, "tile")} (${part}%), ${numberInWords(lowest)} and above.`;
}

export class Histogram {
  /** `onThreshold(place)` while it is dragged or moved by keys. */
  constructor({ onThreshold }) {
    this.threshold = byId("threshold");
    this.threshold.addEventListener("input", () => onThreshold(this.threshold.valueAsNumber));
    this.line = drawing("line", { class: "threshold-line", y1: 0, y2: 1 });
  }

  /** Show the scores of a slide (a TileScores) as they are looked at. */
  show(scores, { scale: name, colours, threshold }, { isShown = true } = {}) {
    const places = scores.places(name);
    const scale = scores.scale(name);
    if (this.shown !== places) this.#drawBars(places);
    this.shown = places;
    this.threshold.value = String(threshold);
    for (const bar of byId("histogram").querySelectorAll("rect")) {
      bar.classList.toggle("below", Number(bar.dataset.end) <= threshold);
    }
    this.line.setAttribute("x1", threshold);
    this.line.setAttribute("x2", threshold);
    paintBar(byId("legend-bar"), colours, threshold);
    const [low, high] = [0, 1].map((place) => numberInWords(scale.score(place)));
    byId("legend-bar").setAttribute("aria-label", `Colour bar ${colours}: from ${low}, lowest, to ${high}, highest`);
    byId("ticks").replaceChildren(...ticks(scale));
    const words = isShown ? thresholdInWords(threshold, scores.values, places) : "The heat map is not shown.";
    byId("threshold-text").textContent = words;
    this.threshold.setAttribute("aria-valuetext", words);
  }

  clear() {
    this.shown = null;
    byId("histogram").replaceChildren();
    byId("ticks").replaceChildren();
    byId("threshold-text").textContent = "";
    this.threshold.removeAttribute("aria-valuetext");
    byId("legend-bar").setAttribute("aria-label", "Colour bar without numbers");
    paintBar(byId("legend-bar"), "viridis", 1.1);
  }

  /** Heights are logarithmic: the few highest tiles must not vanish beside the many others. */
  #drawBars(places) {
    const counts = countTiles(places);
    const most = Math.log1p(Math.max(...counts));
    const bars = [...counts].map((count, i) => {
      const height = most ? Math.log1p(count) / most : 0;
      const box = { x: i / BINS, width: 1 / BINS, y: 1 - height, height };
      return drawing("rect", { ...box, "data-end": (i + 1) / BINS });
    });
    const svg = byId("histogram");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("aria-label", `How many tiles have which score: ${BINS} bars, logarithmic height`);
    svg.replaceChildren(...bars, this.line);
  }
}
