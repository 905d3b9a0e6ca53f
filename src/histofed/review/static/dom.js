// Making and finding parts of the page.

export const byId = (id) => document.getElementById(id);

/** An element with attributes (`text` is its text, `class` its class) and children. */
export function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** The same for drawings. */
export function drawing(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** Offer choices, keeping the last one where it is still there. */
export function offer(select, options, wanted = select.value) {
  select.replaceChildren(...options.map(({ value, text }) => new Option(text, value)));
  if (options.some(({ value }) => value === wanted)) select.value = wanted;
}

const BRIEF_MS = 4000;
let forgetting;

/** Say something to everybody, also to those who hear the page; empty words take it back. */
export function say(words, { problem = false, brief = false } = {}) {
  const status = byId("status");
  clearTimeout(forgetting);
  status.textContent = words;
  status.classList.toggle("problem", problem);
  if (brief) forgetting = setTimeout(() => say(""), BRIEF_MS);
}

/** Say that something is under way if it takes long; call the answer when it has ended. */
export function sayIfSlow(words) {
  const status = byId("status");
  if (status.classList.contains("problem")) say("");
  const waiting = setTimeout(() => say(words), 400);
  return () => {
    clearTimeout(waiting);
    if (status.textContent === words) say("");
  };
}

/** What the browser kept as text; undefined where somebody else wrote something there that is not `isOurs(found)`. */
export function parsed(text, isOurs) {
  try {
    const found = JSON.parse(text);
    return isOurs(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Hand a file to the person at the page. */
export function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
