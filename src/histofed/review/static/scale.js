// How large things are on the screen: magnification in words and a ruler in microns.

const RULER_MAX_PX = 140;

/** The largest 1, 2 or 5 times a power of ten that is at most `most`. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].find((step) => step * power <= most) * power;
}

export function lengthInWords(microns) {
  return microns >= 1000 ? `${microns / 1000} mm` : `${Number(microns.toPrecision(1))} µm`;
}

/** A 10x objective shows about one micron per pixel. */
export function magnificationInWords(micronsPerScreenPixel) {
  const times = 10 / micronsPerScreenPixel;
  const rounded = times >= 10 ? Math.round(times) : Number(times.toPrecision(times >= 1 ? 2 : 1));
  return `about ${rounded}×`;
}

export function showScale({ text, ruler, rulerText }, micronsPerScreenPixel) {
  const microns = roundLength(RULER_MAX_PX * micronsPerScreenPixel);
  text.textContent = magnificationInWords(micronsPerScreenPixel);
  ruler.style.width = `${microns / micronsPerScreenPixel}px`;
  rulerText.textContent = lengthInWords(microns);
}
