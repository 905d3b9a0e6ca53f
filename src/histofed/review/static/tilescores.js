// The scores of a slide and the squares that they belong to.

import { makeScale } from "./scales.js";

const MAX_CELLS = 2 ** 24; // a picture of one pixel a tile must stay small

/**
 * Where a tile that starts at each of `starts` ends. Corners are whole level-0 pixels, sides are not
 * (112 µm can be 443.21 px): a tile whose neighbour starts within that rounding ends where it starts,
 * or a line between them would stay bare.
 */
function endsOf(starts, sidePx0) {
  const known = new Set(starts);
  const ends = new Map();
  for (const start of known) {
    const exact = start + sidePx0;
    ends.set(start, [Math.floor(exact), Math.ceil(exact)].find((next) => known.has(next)) ?? exact);
  }
  return starts.map((start) => ends.get(start));
}

/** The columns (or rows) of tiles that stand side by side, or null where they do not. */
function columnsOf(starts, sidePx0) {
  const first = starts.reduce((least, start) => Math.min(least, start), Infinity);
  const columns = new Int32Array(starts.length);
  let count = 0;
  for (let i = 0; i < starts.length; i += 1) {
    columns[i] = Math.round((starts[i] - first) / sidePx0);
    if (Math.abs(starts[i] - first - columns[i] * sidePx0) > 1) return null; // beyond rounding
    count = Math.max(count, columns[i] + 1);
  }
  return { first, columns, count };
}

/** The grid on which the tiles lie, one to a cell; null where they overlap or stand freely. */
function gridOf(xs, ys, sidePx0) {
  const [across, down] = [columnsOf(xs, sidePx0), columnsOf(ys, sidePx0)];
  if (!across || !down || across.count * down.count > MAX_CELLS) return null;
  const taken = new Uint8Array(across.count * down.count);
  for (let i = 0; i < xs.length; i += 1) {
    const cell = down.columns[i] * across.count + across.columns[i];
    if (taken[cell]) return null;
    taken[cell] = 1;
  }
  return {
    left: across.first,
    top: down.first,
    cols: across.count,
    rows: down.count,
    col: across.columns,
    row: down.columns,
  };
}

export class TileScores {
  /** `triples` are x, y, score; `head` has low, high and signed. */
  constructor(triples, { sidePx0, head }) {
    const n = triples.length / 3;
    this.head = head;
    this.sidePx0 = sidePx0;
    [this.x, this.y, this.values] = [0, 1, 2].map((part) => {
      const own = new Float32Array(n);
      for (let i = 0; i < n; i += 1) own[i] = triples[3 * i + part];
      return own;
    });
    this.right = endsOf(this.x, sidePx0);
    this.bottom = endsOf(this.y, sidePx0);
    this.grid = gridOf(this.x, this.y, sidePx0);
  }

  get length() {
    return this.values.length;
  }

  scale(name) {
    if (this.scaleName !== name) {
      this.scaleName = name;
      this.current = makeScale(name, { ...this.head, values: this.values });
      this.currentPlaces = this.values.map((score) =>
        Number.isNaN(score) ? NaN : this.current.place(score),
      );
    }
    return this.current;
  }

  /** Each tile's place on the colour bar, NaN where it has no score. */
  places(name) {
    this.scale(name);
    return this.currentPlaces;
  }

  /** The tiles from the lowest score to the highest; needed only where tiles overlap. */
  get ascending() {
    this.order ??= Uint32Array.from(this.values.keys())
      .filter((i) => !Number.isNaN(this.values[i]))
      .sort((a, b) => this.values[a] - this.values[b]);
    return this.order;
  }

  /** The `n` tiles of highest score, best first. */
  best(n) {
    const found = [];
    for (let i = 0; i < this.length; i += 1) {
      if (Number.isNaN(this.values[i])) continue;
      if (found.length === n && this.values[i] <= this.values[found.at(-1)]) continue;
      let at = found.length;
      while (at > 0 && this.values[found[at - 1]] < this.values[i]) at -= 1;
      found.splice(at, 0, i);
      if (found.length > n) found.pop();
    }
    return found;
  }

  /** The tile's square in level-0 pixels. */
  box(tile) {
    const [x, y] = [this.x[tile], this.y[tile]];
    return { x, y, width: this.right[tile] - x, height: this.bottom[tile] - y };
  }
}
