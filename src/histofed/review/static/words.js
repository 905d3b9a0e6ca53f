// Numbers and predictions in plain words.

/** Short, and never ambiguous: 0.000123 rather than 0.00. */
export function numberInWords(value) {
  return Number(value.toPrecision(3)).toString();
}

export const percent = (fraction) => `${Math.round(100 * fraction)}%`;

export const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Whether the outputs are chances, 0 to 1. */
export const isChance = ({ kind }) => ["binary", "multiclass", "multilabel"].includes(kind);

/** One output: `62%` for a chance, else a number. */
export function valueInWords(value, run, name) {
  if (!known(value)) return "not known";
  const chance = isChance(run) || (run.kind === "survival" && name.startsWith("survival"));
  return chance ? percent(value) : numberInWords(value);
}

const outputWords = (run, name) => run.outputs.find((each) => each.name === name)?.words ?? name;

/** The output that says most: the positive class, the likeliest class, or the first number. */
export function mainOutput(item, run) {
  const names = run.outputs.map(({ name }) => name).filter((name) => known(item.outputs[name]));
  if (run.kind !== "multiclass") return names[0];
  return names.reduce((best, name) => (item.outputs[name] > item.outputs[best] ? name : best), names[0]);
}

/** What the model says: no chance is none, or certain. */
function saidInWords(value, run, name) {
  const words = valueInWords(value, run, name);
  return { "0%": "under 1%", "100%": "over 99%" }[words] ?? words;
}

/** `62% chance of mutated`, `age years: 61.2`. */
export function shortPrediction(item, run) {
  const name = mainOutput(item, run);
  if (name === undefined) return "no prediction";
  const value = saidInWords(item.outputs[name], run, name);
  return isChance(run) ? `${value} ${outputWords(run, name)}` : `${outputWords(run, name)}: ${value}`;
}

const EVEN = [0.445, 0.555]; // 45% to 55%, as they are shown

/** What a verdict on a case answers. */
export function questionInWords(item, run) {
  const name = mainOutput(item, run);
  if (name === undefined) return "Does the prediction fit what you see?";
  const said = `“${shortPrediction(item, run)}”`;
  const value = item.outputs[name];
  const isEven = run.kind === "binary" && value >= EVEN[0] && value < EVEN[1];
  return isEven ? `${said}: it could be either. Does that fit what you see?` : `Does ${said} fit what you see?`;
}

/**
 * `Of patients scored like this, 55% to 70% are mutated.`, or nothing where the model gave none.
 *
 * The interval of a chance is how often the answer was right among patients scored alike. It is not
 * an interval around the model's own number; where that lies outside, the sentence says so.
 */
export function intervalInWords(item, run, name) {
  const ends = item.interval?.[name];
  if (!ends || !ends.every(known)) return "";
  const [low, high] = ends.map((end) => valueInWords(end, run, name));
  if (!isChance(run)) return `between ${low} and ${high}`;
  const range = low === high ? `about ${low}` : `${low} to ${high}`;
  const [from, said, to] = [ends[0], item.outputs[name], ends[1]].map((each) => Math.round(100 * each));
  const aside = said < from ? ", more than the model says" : said > to ? ", fewer than the model says" : "";
  return `Of patients scored like this, ${range} are ${outputWords(run, name).replace(/^chance of /, "")}${aside}.`;
}

/** What the prediction set says, as a sentence. */
export function possibleInWords(possible) {
  if (!possible) return "";
  if (possible.length === 0) return "None of the possible answers fits this case well.";
  if (possible.length === 1) return `The model rules out everything but “${possible[0]}”.`;
  const last = possible.at(-1);
  return `The model cannot decide between “${possible.slice(0, -1).join("”, “")}” and “${last}”.`;
}

/** The whole prediction: one line for each output. */
export function predictionLines(item, run) {
  return run.outputs
    .filter(({ name }) => known(item.outputs[name]))
    .map(({ name }) => ({
      name: outputWords(run, name),
      value: saidInWords(item.outputs[name], run, name),
      interval: intervalInWords(item, run, name),
      fraction: isChance(run) ? item.outputs[name] : null,
    }));
}

export const labelInWords = ({ label }) => label ?? "not known";

const UNUSUAL = 0.95; // more unusual than 95 of 100 patients the model was trained on
const NEARLY_ALL = 0.99;

export const isUnusual = ({ unusual }) => known(unusual) && unusual >= UNUSUAL;

export function unusualInWords({ unusual }) {
  if (!known(unusual)) return "";
  if (unusual >= NEARLY_ALL) return "Nearly all patients the model learned from are more typical than this one; trust it less.";
  const of100 = Math.floor(100 * unusual);
  return `Of 100 patients the model learned from, ${of100} are more typical than this one; trust it less.`;
}

/** `12 November 2026, 14:02` in the reader's own time. */
export function timeInWords(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return at.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
}
