// The address of what is on the screen: a link that brings back the same view.
//
// case and s (slide); x, y (middle of the view, level-0 pixels), z (screen pixels per level-0 pixel),
// r (degrees turned); h (heat map), on, o (opacity), t (threshold's place on the colour bar), cm
// (colours), scale; s2 and h2 for the slide beside; view=gallery; screen=results.

const TEXTS = ["screen", "case", "s", "view", "h", "cm", "scale", "s2", "h2", "on"];
const CHOICES = { screen: ["results"], view: ["gallery"], on: ["0", "1"] };
const NUMBERS = {
  x: [-1e7, 1e7],
  y: [-1e7, 1e7],
  z: [1e-6, 100],
  r: [-360, 360],
  o: [0, 1],
  t: [0, 1],
};

/** What an address asks for; `unread` names the parts that make no sense. */
export function read(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const found = { unread: [] };
  for (const [name, value] of parts) {
    const isKnown = TEXTS.includes(name) && (CHOICES[name]?.includes(value) ?? value !== "");
    if (isKnown) found[name] = value;
    else if (TEXTS.includes(name)) found.unread.push(`${name}=${value}`);
    else if (Object.hasOwn(NUMBERS, name)) {
      const number = value.trim() === "" ? NaN : Number(value);
      const [low, high] = NUMBERS[name];
      if (number >= low && number <= high) found[name] = number;
      else found.unread.push(`${name}=${value}`);
    } else found.unread.push(name);
  }
  return found;
}

/** The address of a state; nine digits bring a view back to the pixel. */
export function write(state) {
  const parts = new URLSearchParams();
  for (const name of [...TEXTS.slice(0, 4), ...Object.keys(NUMBERS), ...TEXTS.slice(4)]) {
    const value = state[name];
    if (value === undefined || value === null || value === "") continue;
    parts.set(name, typeof value === "number" ? String(Number(value.toPrecision(9))) : value);
  }
  return `#${parts}`;
}
