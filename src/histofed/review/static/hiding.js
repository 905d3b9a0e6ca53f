// An independent judgement: what could sway a reviewer is hidden until the case has their verdict.

import { byId } from "./dom.js";

const KEPT = "histofed-hide";
const TELLING = { order: "discordant", reviewed: "disagreement" }; // choices that tell what is hidden

/** What is wanted is remembered by the browser; without a choice it is hidden. */
export class Hiding {
  /** `onChange()` when the reviewer wants it otherwise. */
  constructor({ onChange }) {
    this.reviewer = null;
    this.box = byId("hide");
    this.box.checked = localStorage.getItem(KEPT) !== "no";
    this.box.addEventListener("change", () => {
      localStorage.setItem(KEPT, this.box.checked ? "yes" : "no");
      this.offer();
      onChange();
    });
  }

  /** Begin for a reviewer, with the orders that the run has. */
  start(reviewer, orders) {
    Object.assign(this, { reviewer, orders });
    this.offer();
  }

  /** Offer only filters that do not tell what is hidden. */
  offer() {
    for (const [name, value] of Object.entries(TELLING)) {
      const select = byId(name);
      const telling = [...select.options].find((option) => option.value === value);
      const possible = name === "reviewed" || this.orders.includes(value);
      telling.hidden = this.box.checked || !possible;
      telling.disabled = telling.hidden;
      if (telling.selected && telling.disabled) {
        select.value = [...select.options].find(({ hidden }) => !hidden).value;
      }
    }
  }

  /** Whether a case, or its row of the worklist, is still to be judged. */
  of({ verdicts, history = [] }) {
    if (!this.box.checked) return false;
    const given = [...verdicts, ...history.filter(({ scope }) => scope === "case")];
    return !given.some(({ reviewer }) => reviewer === this.reviewer);
  }

  /** Of verdict rows of a case, those that its reviewer may see now. */
  shown(item) {
    return this.of(item) ? item.history.filter(({ reviewer }) => reviewer === this.reviewer) : item.history;
  }
}
