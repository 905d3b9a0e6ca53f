// The heat map: one square per tile, drawn on a canvas of our own above the slide.
//
// Squares are painted opaque and the whole canvas is made translucent, so overlapping tiles do not
// add up. They are painted from the lowest score to the highest: where tiles overlap, the higher
// score is on top.

import { VIRIDIS, colourIndex } from "./viridis.js";

/**
 * Where a tile that starts at each of `starts` ends. Corners are whole level-0 pixels, sides are not
 * (112 µm can be 443.21 px): a tile whose neighbour starts within that rounding ends where it starts,
 * or a line between them would stay bare.
 */
function endsOf(starts, sidePx0) {
  const known = new Set(starts);
  const end = (start) => {
    const exact = start + sidePx0;
    const near = [Math.floor(exact), Math.ceil(exact)].find((next) => known.has(next));
    return near ?? exact;
  };
  return new Map([...known].map((start) => [start, end(start)]));
}

/** Tiles with a colour each, lowest score first; tiles without a score are left out. */
function colourTiles(triples, { low, high, sidePx0 }) {
  const rights = endsOf(triples.filter((_, i) => i % 3 === 0), sidePx0);
  const bottoms = endsOf(triples.filter((_, i) => i % 3 === 1), sidePx0);
  const tiles = [];
  for (let i = 0; i < triples.length; i += 3) {
    const [x, y, score] = triples.subarray(i, i + 3);
    if (Number.isNaN(score)) continue;
    const colour = colourIndex(score, low, high);
    tiles.push({ x, y, right: rights.get(x), bottom: bottoms.get(y), score, colour });
  }
  return tiles.sort((a, b) => a.score - b.score);
}

/** Edges on whole canvas pixels: neighbours meet without a seam, none is off by more than half. */
function uprightSquare(matrix) {
  return (tile) => {
    const left = Math.round(matrix.a * tile.x + matrix.e);
    const top = Math.round(matrix.d * tile.y + matrix.f);
    const right = Math.round(matrix.a * tile.right + matrix.e);
    const bottom = Math.round(matrix.d * tile.bottom + matrix.f);
    return [left, top, Math.max(right - left, 1), Math.max(bottom - top, 1)];
  };
}

/** A turned square cannot have whole edges; half a pixel more on each side closes the seam. */
function turnedSquare(context, matrix) {
  context.setTransform(matrix);
  const margin = 0.5 / Math.hypot(matrix.a, matrix.b);
  return ({ x, y, right, bottom }) => [
    x - margin,
    y - margin,
    right - x + 2 * margin,
    bottom - y + 2 * margin,
  ];
}

export class Heatmap {
  /** `imageToScreen(x, y)` gives CSS pixels of the viewer for level-0 pixels of the slide. */
  constructor({ container, imageToScreen }) {
    this.imageToScreen = imageToScreen;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "heatmap";
    this.canvas.setAttribute("aria-hidden", "true");
    container.append(this.canvas);
    this.clear();
  }

  clear() {
    this.tiles = [];
    this.draw();
  }

  /** `scale` holds the scores `low` and `high` that are darkest and brightest, and `sidePx0`. */
  show(triples, scale) {
    this.tiles = colourTiles(triples, scale);
    this.draw();
  }

  setOpacity(fraction) {
    this.canvas.style.opacity = String(fraction);
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (this.tiles.length) this.#paint(context, this.#transform(ratio), width, height);
  }

  /** Level-0 pixels to canvas pixels, taken from three corners: right under any rotation. */
  #transform(ratio) {
    const span = 1e4; // far apart, so that rounding does not matter
    const origin = this.imageToScreen(0, 0);
    const alongX = this.imageToScreen(span, 0);
    const alongY = this.imageToScreen(0, span);
    return new DOMMatrix([
      (ratio * (alongX.x - origin.x)) / span,
      (ratio * (alongX.y - origin.y)) / span,
      (ratio * (alongY.x - origin.x)) / span,
      (ratio * (alongY.y - origin.y)) / span,
      ratio * origin.x,
      ratio * origin.y,
    ]);
  }

  #paint(context, matrix, width, height) {
    const upright = Math.abs(matrix.b) + Math.abs(matrix.c) < 1e-9 && matrix.a > 0 && matrix.d > 0;
    const square = upright ? uprightSquare(matrix) : turnedSquare(context, matrix);
    const seen = this.#seen(matrix, width, height);
    let colour = -1;
    for (const tile of this.tiles) {
      if (tile.x > seen.right || tile.y > seen.bottom) continue;
      if (tile.right < seen.left || tile.bottom < seen.top) continue;
      if (tile.colour !== colour) {
        colour = tile.colour;
        context.fillStyle = VIRIDIS[colour];
      }
      context.fillRect(...square(tile));
    }
  }

  /** The part of the slide that the canvas covers, in level-0 pixels. */
  #seen(matrix, width, height) {
    const back = matrix.inverse();
    const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) =>
      back.transformPoint(new DOMPoint(x, y)),
    );
    const xs = corners.map(({ x }) => x);
    const ys = corners.map(({ y }) => y);
    return {
      left: Math.min(...xs),
      right: Math.max(...xs),
      top: Math.min(...ys),
      bottom: Math.max(...ys),
    };
  }
}
