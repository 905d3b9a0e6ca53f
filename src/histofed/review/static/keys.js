// The key map, and the list of it behind "?". Keys work anywhere on the page, without a click first,
// except while typing or while a dialog is open.

import { byId, element } from "./dom.js";

const SLIDE = ["slide"];
const CASE = ["slide", "gallery"];
const ALL = ["worklist", "slide", "gallery", "results"];

/** `on` names the screens on which a key works; `action` what the page does, again and again where it may be `held`. */
export const KEYS = [
  { group: "Cases", keys: ["A", "D", "U"], on: CASE, action: "verdict", words: "agree, disagree, unsure" },
  { group: "Cases", keys: ["J", "K"], on: CASE, action: "step", words: "in a case: next, previous slide, then case" },
  { group: "Cases", keys: ["J", "K"], on: ["worklist"], action: "row", held: true, words: "in the worklist: next, previous case" },
  { group: "Cases", keys: ["M"], on: CASE, action: "comment", words: "write a comment (Esc leaves it)" },
  { group: "Cases", keys: ["W"], on: ALL, action: "worklist", words: "worklist" },
  { group: "Cases", keys: ["S"], on: ALL, action: "results", words: "results" },
  { group: "Slide", keys: ["1", "2", "3", "4", "5", "6"], on: SLIDE, action: "magnify", words: "1.25, 2.5, 5, 10, 20, 40×" },
  { group: "Slide", keys: ["+", "-", "0"], on: SLIDE, action: "zoom", held: true, words: "zoom in, zoom out, whole slide" },
  { group: "Slide", keys: ["="], on: SLIDE, action: "zoom", held: true },
  { group: "Slide", keys: ["R", "Shift+R"], on: SLIDE, action: "turn", words: "turn by 90° right, left" },
  { group: "Slide", keys: ["T"], on: SLIDE, action: "beside", words: "side by side" },
  { group: "Slide", keys: ["N", "P"], on: SLIDE, action: "top", words: "next, previous of the highest tiles" },
  { group: "Slide", keys: ["B", "Y"], on: SLIDE, action: "draw", words: "draw a box, a polygon" },
  { group: "Slide", keys: ["Enter"], on: SLIDE, action: "corner", words: "while drawing: set a corner under the cross" },
  { group: "Slide", keys: ["F"], on: SLIDE, action: "finish", words: "while drawing: close the polygon" },
  { group: "Slide", keys: ["Escape"], on: CASE, action: "cancel", words: "stop drawing" },
  { group: "Heat map", keys: ["H"], on: SLIDE, action: "heat", words: "on or off" },
  { group: "Heat map", keys: ["[", "]"], on: SLIDE, action: "opacity", held: true, words: "weaker, stronger" },
  { group: "Heat map", keys: [",", "."], on: SLIDE, action: "threshold", held: true, words: "threshold lower, higher" },
  { group: "Heat map", keys: ["C"], on: SLIDE, action: "colours", words: "next colours" },
  { group: "Heat map", keys: ["L"], on: SLIDE, action: "scale", words: "next scale" },
  { group: "Gallery", keys: ["G"], on: CASE, action: "gallery", words: "gallery or slide" },
  { group: "Gallery", keys: ["1", "2", "3", "4"], on: ["gallery"], action: "tile", words: "relevant, not relevant, artefact, unsure" },
  { group: "Help", keys: ["?"], on: ALL, action: "help", words: "this list" },
];
const UNNAMED = [{ group: "Slide", keys: ["←", "→", "↑", "↓"], words: "move the slide; next tile in the gallery" }];
const SHOWN = { Escape: "Esc", "-": "−" };
const TYPING = 'input[type="search"], input[type="text"], input[type="password"], input[type="number"], textarea';

function nameOf(event) {
  if (event.key.length > 1) return event.key;
  const upper = event.key.toUpperCase();
  return event.shiftKey && upper !== event.key.toLowerCase() ? `Shift+${upper}` : upper;
}

/** `Enter` and arrows belong to the control that has the focus, letters to the page. */
function belongsToControl(event) {
  if (event.target.closest?.(TYPING)) return event.key !== "Escape";
  if (event.key.length === 1) return false;
  return Boolean(event.target.closest?.("select, button, a, input, summary")) && event.key !== "Escape";
}

/** `actions[name](key, index of the key among its fellows)`; `screen()` names what is shown. */
export function listen(actions, screen) {
  document.addEventListener("keydown", (event) => {
    const isHeld = event.repeat && event.key === "Enter" && event.target.closest?.("[data-verdict], [data-region], [data-tile-verdict]");
    if (isHeld) event.preventDefault(); // a button that is held gives one verdict
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || belongsToControl(event)) return;
    const name = nameOf(event);
    const here = KEYS.filter(({ on }) => on.includes(screen()));
    const found =
      here.find(({ keys }) => keys.includes(name)) ??
      here.find(({ keys }) => keys.includes(name.replace("Shift+", "")));
    if (!found || (event.repeat && !found.held)) return; // a key held too long gives no second verdict
    const key = found.keys.includes(name) ? name : name.replace("Shift+", "");
    if (actions[found.action](key, found.keys.indexOf(key)) !== false) event.preventDefault();
  });
}

/** Write the list of the keys. */
export function writeHelp() {
  const rows = [...KEYS, ...UNNAMED].filter(({ words }) => words);
  const groups = [...new Set(rows.map(({ group }) => group))];
  byId("key-list").replaceChildren(
    ...groups.map((group) => {
      const list = element("dl", { class: "keys" });
      for (const { keys, words } of rows.filter((row) => row.group === group)) {
        const shown = keys.length > 4 ? [keys[0], "…", keys.at(-1)] : keys;
        const term = element("dt");
        for (const key of shown) {
          term.append(key === "…" ? " … " : element("kbd", { text: SHOWN[key] ?? key }), " ");
        }
        list.append(element("div", {}, term, element("dd", { text: words })));
      }
      return element("section", {}, element("h3", { text: group }), list);
    }),
  );
}
