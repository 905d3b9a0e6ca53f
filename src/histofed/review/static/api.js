// The page's own server: what to ask, and errors in words.

const id = encodeURIComponent;
let csrf = ""; // proves to the server that a verdict comes from this page
let asked = 0; // counts questions of who is here: an answer to an earlier one comes too late
let signedOut = () => {};

/** An answer that says no, in the server's words. */
export class Refused extends Error {
  constructor(words, status) {
    super(words);
    this.status = status;
  }
}

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", ...options });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) signedOut();
  const { detail } = await answer.json().catch(() => ({}));
  const words = typeof detail === "string" ? detail : `The server answered with error ${answer.status}.`;
  throw new Refused(words, answer.status);
}

const json = async (address) => (await ask(address)).json();

async function post(address, content) {
  const answer = await ask(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Review-Token": csrf },
    body: JSON.stringify(content),
  });
  return answer.status === 204 ? null : answer.json();
}

/** `?a=1&b=2`, without what is empty. */
const query = (asked) => {
  const given = Object.entries(asked).filter(([, value]) => value !== "" && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

/** What to do where an answer says that nobody is signed in. */
export function whenSignedOut(act) {
  signedOut = act;
}

export async function session() {
  const mine = ++asked;
  const found = await json("api/session");
  if (mine === asked) csrf = found.csrf;
  return found;
}

/** Say who reviews: `{reviewer}` or `{token}`. */
export async function enter(who) {
  await session(); // the server may have begun anew under an open page
  await post("api/session", who);
  return session();
}

export async function leave() {
  await session();
  await ask("api/session", { method: "DELETE", headers: { "X-Review-Token": csrf } });
  return session();
}

export const run = () => json("api/run");
export const cases = (asked) => json(`api/cases${query(asked)}`);
export const neighbour = (asked) => json(`api/neighbour${query(asked)}`);
export const patient = (patientId) => json(`api/case${query({ patient_id: patientId })}`);
export const slide = (slideId) => json(`api/slides/${id(slideId)}`);
export const gallery = (slideId, asked) => json(`api/slides/${id(slideId)}/gallery${query(asked)}`);
export const verdicts = (asked) => json(`api/verdicts${query(asked)}`);
export const give = (verdict) => post("api/verdicts", verdict);
export const results = (asked) => json(`api/results${query(asked)}`);

/** Scores as triples x, y, score: little-endian float32, whatever this machine's byte order. */
export async function scores(slideId, head) {
  const bytes = await (await ask(`api/slides/${id(slideId)}/scores/${id(head)}`)).arrayBuffer();
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return new Float32Array(bytes);
  const view = new DataView(bytes);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

export const tileAddress = (slideId, level, col, row) =>
  `tiles/${id(slideId)}/${level}/${col}_${row}.jpg`;
export const thumbnailAddress = (slideId) => `thumbnails/${id(slideId)}.jpg`;
export const tilePictureAddress = (slideId, tile, side) =>
  `api/slides/${id(slideId)}/tiles/${tile}.jpg${query({ side })}`;
export const geojsonAddress = (slideId, asked) =>
  `api/export/slides/${id(slideId)}.geojson${query(asked)}`;
export const coloursAddress = (name) => `api/export/colours/${id(name)}.tsv`;
