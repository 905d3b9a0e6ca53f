// The page's own server: what to ask, and errors in words.

async function ask(address) {
  let answer;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const words = await answer.json().catch(() => ({}));
  throw new Error(words.detail ?? `The server answered with error ${answer.status}.`);
}

const id = encodeURIComponent;

export const cases = async () => (await ask("api/cases")).json();

export const slide = async (slideId) => (await ask(`api/slides/${id(slideId)}`)).json();

/** Scores as triples x, y, score: little-endian float32, whatever this machine's byte order. */
export async function scores(slideId, head) {
  const answer = await ask(`api/slides/${id(slideId)}/scores/${id(head)}`);
  const view = new DataView(await answer.arrayBuffer());
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

export const tileAddress = (slideId, level, col, row) =>
  `tiles/${id(slideId)}/${level}/${col}_${row}.jpg`;
