// An independent judgement: what could sway a reviewer is hidden until the case has their verdict.

import { byId, parsed } from "./dom.js";

const KEPT = "histofed-hide";
const UNHIDDEN = "histofed-unhidden"; // by the browser, until its reviewer leaves: `{reviewer, patients}`
const TELLING = { order: "discordant", reviewed: "disagreement" }; // choices that tell what is hidden

/** What is wanted is remembered by the browser; without a choice it is hidden. */
export class Hiding {
  /** `onChange()` when the reviewer wants it otherwise. */
  constructor({ onChange }) {
    this.reviewer = null;
    this.unhidden = new Set(); // patients who were shown with nothing hidden
    this.box = byId("hide");
    this.box.checked = localStorage.getItem(KEPT) !== "no";
    this.box.addEventListener("change", () => {
      localStorage.setItem(KEPT, this.box.checked ? "yes" : "no");
      this.#keep();
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
  of({ patient_id: patientId, verdicts, history = [] }) {
    if (!this.box.checked) {
      this.#unhide(patientId);
      return false;
    }
    const given = [...verdicts, ...history.filter(({ scope }) => scope === "case")];
    return !given.some(({ reviewer }) => reviewer === this.reviewer);
  }

  /** Whether a verdict on a case now is one of somebody who has not seen what could sway them. */
  isIndependent(item) {
    return this.of(item) && !this.unhidden.has(item.patient_id) && !this.#kept.includes(item.patient_id);
  }

  /** Note that a patient is shown with nothing hidden, for the tabs beside too. */
  #unhide(patientId) {
    if (this.unhidden.has(patientId)) return;
    this.unhidden.add(patientId);
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.#keep()); // a worklist's at once
  }

  /** Forget what was shown. */
  forget() {
    clearTimeout(this.keeping);
    this.unhidden.clear();
    localStorage.removeItem(UNHIDDEN);
  }

  /** Patients who were shown to this reviewer, in any tab of the browser. */
  get #kept() {
    const isOurs = (found) => Array.isArray(found?.patients) && found.reviewer === this.reviewer;
    return parsed(localStorage.getItem(UNHIDDEN), isOurs)?.patients ?? [];
  }

  #keep() {
    if (!this.unhidden.size) return;
    const patients = [...new Set([...this.#kept, ...this.unhidden])];
    localStorage.setItem(UNHIDDEN, JSON.stringify({ reviewer: this.reviewer, patients }));
  }

  /** Of verdict rows of a case, those that its reviewer may see now. */
  shown(item, rows = item.history) {
    return this.of(item) ? rows.filter(({ reviewer }) => reviewer === this.reviewer) : rows;
  }
}
