// From a score to its place on the colour bar (0 lowest, 1 highest) and back.
//
// Signed scores are even about zero on every scale: zero is the middle of the bar. All scales keep
// the order of the scores, so a threshold on the bar is a threshold on the score.

const DECADES = 6; // a logarithmic bar spans at most so many powers of ten
const SIGNED_DECADES = 3; // on each side of zero

const clamp = (value) => Math.min(Math.max(value, 0), 1);

function raw({ low, high }) {
  if (!(high > low)) return { place: () => 1, score: () => high };
  return {
    place: (score) => clamp((score - low) / (high - low)),
    score: (place) => low + place * (high - low),
  };
}

/** How many of the ascending `sorted` are at most `value`. */
function countUpTo(sorted, value) {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] <= value) from = middle + 1;
    else to = middle;
  }
  return from;
}

const scoreAt = (sorted, share) =>
  sorted[Math.min(Math.max(Math.ceil(share * sorted.length - 1e-6), 1), sorted.length) - 1];

function percentile({ values, signed }) {
  const finite = values.filter((value) => !Number.isNaN(value));
  if (!signed) {
    finite.sort();
    return {
      place: (score) => countUpTo(finite, score) / finite.length,
      score: (place) => scoreAt(finite, place),
    };
  }
  const sizes = finite.map(Math.abs).sort();
  return {
    place: (score) => 0.5 + 0.5 * Math.sign(score) * (countUpTo(sizes, Math.abs(score)) / sizes.length),
    score: (place) => (place === 0.5 ? 0 : Math.sign(place - 0.5) * scoreAt(sizes, Math.abs(2 * place - 1))),
  };
}

function log({ values, high, signed }) {
  if (signed) {
    const smallest = high * 10 ** -SIGNED_DECADES;
    return {
      place: (score) => {
        const size = clamp(Math.log10(Math.abs(score) / smallest) / SIGNED_DECADES);
        return 0.5 + 0.5 * Math.sign(score) * size;
      },
      score: (place) => {
        const size = Math.abs(2 * place - 1);
        return size === 0 ? 0 : Math.sign(place - 0.5) * smallest * 10 ** (SIGNED_DECADES * size);
      },
    };
  }
  const least = values.reduce((found, value) => (value > 0 && value < found ? value : found), high);
  const low = Math.max(least, high * 10 ** -DECADES);
  if (!(high > low)) return { place: (score) => (score < high ? 0 : 1), score: () => high };
  const span = Math.log(high / low);
  return {
    place: (score) => (score > 0 ? clamp(Math.log(score / low) / span) : 0),
    score: (place) => low * Math.exp(place * span),
  };
}

const SCALES = { raw, percentile, log };

/** Scales that these scores allow: a logarithm needs scores above zero, or signed ones. */
export function scalesFor({ low, high, signed }) {
  return signed || (low >= 0 && high > 0) ? ["raw", "percentile", "log"] : ["raw", "percentile"];
}

/**
 * A scale: `place(score)` in 0..1 and `score(place)`.
 *
 * `values` are all scores of the slide, NaN where a tile has none; `low` and `high` the ends of the
 * colour bar, even about zero where `signed`.
 */
export function makeScale(name, given) {
  return SCALES[name](given);
}
