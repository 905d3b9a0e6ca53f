// Outlines above the slide: the tile that was flown to, regions with their verdicts, a region being
// drawn. Each verdict has its own kind of line besides its colour.

import { drawing } from "./dom.js";

const corners = ({ x, y, width, height }) => [
  [x, y],
  [x + width, y],
  [x + width, y + height],
  [x, y + height],
];

export class Outlines {
  constructor({ container, imageToScreen }) {
    this.imageToScreen = imageToScreen;
    this.svg = drawing("svg", { class: "outlines", "aria-hidden": "true" });
    container.append(this.svg);
    this.clear();
  }

  clear() {
    this.marked = null;
    this.regions = [];
    this.draft = null;
    this.draw();
  }

  /** Outline one square in level-0 pixels. */
  mark(box) {
    this.marked = corners(box);
    this.draw();
  }

  /** Regions with a verdict: `{points, verdict, name}`; a name stands beside its region. */
  showRegions(regions) {
    this.regions = regions;
    this.draw();
  }

  /** The region being drawn: points in level-0 pixels, `closed` when it is complete. */
  showDraft(points, closed) {
    this.draft = points && { points, closed };
    this.draw();
  }

  draw() {
    const parts = this.regions.flatMap(({ points, verdict, name }) => [
      ...this.#shape("polygon", points, `region ${verdict}`),
      ...(name ? [this.#name(points, name)] : []),
    ]);
    if (this.marked) parts.push(...this.#shape("polygon", this.marked, "marked"));
    if (this.draft) {
      parts.push(...this.#shape(this.draft.closed ? "polygon" : "polyline", this.draft.points, "draft"));
      for (const [x, y] of this.draft.points) {
        const at = this.imageToScreen(x, y);
        parts.push(drawing("circle", { class: "draft", cx: at.x, cy: at.y, r: 4 }));
      }
    }
    this.svg.replaceChildren(...parts);
  }

  /** Paint the outlines, as they stand on the screen, into a picture; not the corners of a draft. */
  paint(context) {
    for (const shape of this.svg.querySelectorAll("[points]")) {
      const { stroke, strokeWidth, strokeDasharray } = getComputedStyle(shape);
      const close = shape.tagName === "polygon" ? "Z" : "";
      context.strokeStyle = stroke;
      context.lineWidth = parseFloat(strokeWidth);
      context.setLineDash(strokeDasharray === "none" ? [] : strokeDasharray.split(",").map(parseFloat));
      context.stroke(new Path2D(`M${shape.getAttribute("points")}${close}`));
    }
    context.setLineDash([]);
  }

  /** A name below the middle of a region. */
  #name(points, text) {
    const onScreen = points.map(([x, y]) => this.imageToScreen(x, y));
    const xs = onScreen.map(({ x }) => x);
    const bottom = Math.max(...onScreen.map(({ y }) => y));
    const name = drawing("text", { class: "outline-name", x: (Math.min(...xs) + Math.max(...xs)) / 2, y: bottom + 16 });
    name.textContent = text;
    return name;
  }

  /** The line within a wider light one: seen on every colour of a heat map. */
  #shape(tag, points, name) {
    const onScreen = points.map(([x, y]) => {
      const at = this.imageToScreen(x, y);
      return `${at.x},${at.y}`;
    });
    return ["outline-back", name].map((each) => drawing(tag, { class: each, points: onScreen.join(" ") }));
  }
}
