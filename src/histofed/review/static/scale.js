// How large things are on the screen: magnification in words and a ruler in microns.

const RULER_MAX_PX = 140;

/** Magnifications of the keys 1 to 6. */
export const MAGNIFICATIONS = [1.25, 2.5, 5, 10, 20, 40];

/** The largest 1, 2 or 5 times a power of ten that is at most `most`. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].find((step) => step * power <= most) * power;
}

export function lengthInWords(microns) {
  return microns >= 1000 ? `${microns / 1000} mm` : `${Number(microns.toPrecision(1))} µm`;
}

/** A 10x objective shows about one micron per pixel. */
export const micronsPerPixelAt = (magnification) => 10 / magnification;

export function magnificationInWords(micronsPerScreenPixel) {
  const times = 10 / micronsPerScreenPixel;
  const rounded = times >= 10 ? Math.round(times) : Number(times.toPrecision(times >= 1 ? 3 : 1));
  return `about ${rounded}×`;
}

/** A round length in microns and how many screen pixels it is long. */
export function rulerOf(micronsPerScreenPixel) {
  const microns = roundLength(RULER_MAX_PX * micronsPerScreenPixel);
  return { words: lengthInWords(microns), px: microns / micronsPerScreenPixel };
}

export function showScale({ text, ruler, rulerText }, micronsPerScreenPixel) {
  const { words, px } = rulerOf(micronsPerScreenPixel);
  text.textContent = magnificationInWords(micronsPerScreenPixel);
  ruler.style.width = `${px}px`;
  rulerText.textContent = words;
}
