// The heat map: one square per tile, drawn without smoothing on a canvas of our own above the slide.
//
// Squares are painted opaque and the whole canvas is made translucent, so overlapping tiles do not
// add up; where tiles overlap, the higher score is on top. A few thousand squares are drawn one by
// one, to the pixel. More of them, where they lie on a grid, are one small picture of a pixel a tile
// that is enlarged: a million tiles change colour within a frame.

import { colourIndex, cssColours, pixelColours } from "./colours.js";

const MANY = 20_000; // so many squares on the screen are small: a picture of them is exact enough

/** Edges on whole canvas pixels: neighbours meet without a seam, none is off by more than half. */
function uprightSquare(matrix) {
  return (x, y, right, bottom) => {
    const [left, top] = [Math.round(matrix.a * x + matrix.e), Math.round(matrix.d * y + matrix.f)];
    const width = Math.round(matrix.a * right + matrix.e) - left;
    const height = Math.round(matrix.d * bottom + matrix.f) - top;
    return [left, top, Math.max(width, 1), Math.max(height, 1)];
  };
}

/** A turned square cannot have whole edges; half a pixel more on each side closes the seam. */
function turnedSquare(context, matrix) {
  context.setTransform(matrix);
  const margin = 0.5 / Math.hypot(matrix.a, matrix.b);
  return (x, y, right, bottom) => [
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
    this.many = MANY;
    this.look = { colours: "viridis", scale: "raw", threshold: 0 };
    container.append(this.canvas);
    this.clear();
  }

  clear() {
    this.scores = null;
    this.picture = null;
    this.draw();
  }

  /** Show the scores of a slide (a TileScores). */
  show(scores) {
    this.scores = scores;
    this.picture = null;
    this.draw();
  }

  /** `colours`, `scale` and `threshold` (a place on the colour bar; what lies below is not shown). */
  setLook(look) {
    this.look = look;
    this.picture = null;
    this.draw();
  }

  /** Whether there is anything to see of it. */
  get isShown() {
    return Boolean(this.scores) && this.opacity > 0;
  }

  setOpacity(fraction) {
    this.opacity = fraction;
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
    if (this.scores?.length) this.#paint(context, this.#transform(ratio), width, height);
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
    const seen = this.#seen(matrix, width, height);
    if (this.scores.grid && this.#count(seen) > this.many) this.#paintPicture(context, matrix);
    else this.#paintSquares(context, matrix, seen);
  }

  #paintSquares(context, matrix, seen) {
    const { x, y, right, bottom, grid } = this.scores;
    const places = this.scores.places(this.look.scale);
    const order = grid ? places.keys() : this.scores.ascending;
    const upright = Math.abs(matrix.b) + Math.abs(matrix.c) < 1e-9 && matrix.a > 0 && matrix.d > 0;
    const square = upright ? uprightSquare(matrix) : turnedSquare(context, matrix);
    const colours = cssColours(this.look.colours);
    for (const i of order) {
      if (!(places[i] >= this.look.threshold)) continue; // also where there is no score
      if (x[i] > seen.right || y[i] > seen.bottom) continue;
      if (right[i] < seen.left || bottom[i] < seen.top) continue;
      context.fillStyle = colours[colourIndex(places[i])];
      context.fillRect(...square(x[i], y[i], right[i], bottom[i]));
    }
  }

  #paintPicture(context, matrix) {
    const { grid, sidePx0 } = this.scores;
    const tilePx = sidePx0 * Math.hypot(matrix.a, matrix.b);
    // Tiles smaller than a pixel are taken together, the highest score shown: none gets lost.
    const together = Math.max(1, Math.ceil(Math.SQRT2 / tilePx));
    if (this.picture?.together !== together) this.picture = this.recolour(together);
    context.imageSmoothingEnabled = false;
    context.setTransform(matrix);
    const side = sidePx0 * together;
    const { canvas } = this.picture;
    context.drawImage(canvas, grid.left, grid.top, canvas.width * side, canvas.height * side);
  }

  /** A picture of the tiles on their grid: a pixel for `together` x `together` of them. */
  recolour(together = 1) {
    const { grid } = this.scores;
    const places = this.scores.places(this.look.scale);
    const width = Math.ceil(grid.cols / together);
    const height = Math.ceil(grid.rows / together);
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = pixelColours(this.look.colours);
    const highest = together > 1 ? new Float32Array(width * height).fill(-1) : null;
    const { threshold } = this.look;
    for (let i = 0; i < places.length; i += 1) {
      const place = places[i];
      if (!(place >= threshold)) continue;
      const row = together > 1 ? Math.floor(grid.row[i] / together) : grid.row[i];
      const col = together > 1 ? Math.floor(grid.col[i] / together) : grid.col[i];
      const cell = row * width + col;
      if (highest) {
        if (place <= highest[cell]) continue;
        highest[cell] = place;
      }
      pixels[cell] = colours[(255 * place + 0.5) | 0];
    }
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").putImageData(image, 0, 0);
    return { canvas, together };
  }

  /** About how many squares a part of the slide holds. */
  #count(seen) {
    const { grid, sidePx0, length } = this.scores;
    const across = Math.min(seen.right, grid.left + grid.cols * sidePx0) - Math.max(seen.left, grid.left);
    const down = Math.min(seen.bottom, grid.top + grid.rows * sidePx0) - Math.max(seen.top, grid.top);
    return Math.min(length, (Math.max(across, 0) * Math.max(down, 0)) / sidePx0 ** 2);
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
