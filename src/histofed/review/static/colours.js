// The colour maps as look-up tables.

import { COLOUR_MAPS } from "./colourmaps.js";

export const COLOURS = Object.keys(COLOUR_MAPS);

/** Colours fit for a head until somebody chooses others: a signed one has a pale middle. */
export const usualColours = (signed) => (signed ? "coolwarm" : "viridis");

/** 256 CSS colours, lowest score first. */
export function cssColours(name) {
  const digits = COLOUR_MAPS[name];
  return Array.from({ length: 256 }, (_, i) => `#${digits.slice(6 * i, 6 * i + 6)}`);
}

/** 256 opaque pixels as an ImageData holds them on this machine. */
export function pixelColours(name) {
  const bytes = new Uint8ClampedArray(4 * 256);
  cssColours(name).forEach((css, i) => {
    const rgb = parseInt(css.slice(1), 16);
    bytes.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255], 4 * i);
  });
  return new Uint32Array(bytes.buffer);
}

/** Which of 256 colours a place (0..1) on the colour bar has. */
export const colourIndex = (place) => Math.round(255 * place);
