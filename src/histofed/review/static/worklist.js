// The worklist: which cases come first, what is known of them, who has reviewed them.

import * as api from "./api.js";
import { write } from "./address.js";
import { byId, element, offer, parsed, say } from "./dom.js";
import * as words from "./words.js";

const AT_ONCE = 100; // rows of a page: the screen stays quick with ten thousand cases
const TYPING_PAUSE_MS = 200;
const MARKS = { agree: "✓", disagree: "✗", unsure: "?" };
const FILTERS = ["find", "order", "site", "reviewed"];
const LEAVING = ["todo", "nobody"]; // a case leaves these as it is judged; one must still find back to it
const KEPT = "histofed-worklist"; // by the browser, until its tab is closed

function bar(fraction) {
  const fill = element("span", { class: "fill" });
  fill.style.width = words.percent(fraction);
  return element("span", { class: "track", "aria-hidden": "true" }, fill);
}

function predictionCell(item, run) {
  const cell = element("td", { class: "predicted" });
  cell.append(element("span", { class: "value", text: words.shortPrediction(item, run) }));
  const name = words.mainOutput(item, run);
  if (name === undefined) return cell;
  if (words.isChance(run)) cell.append(bar(item.outputs[name]));
  const set = item.possible?.length === 1 ? "" : words.possibleInWords(item.possible);
  const more = words.intervalInWords(item, run, name) || set;
  if (more) cell.append(element("span", { class: "quiet", text: more }));
  return cell;
}

function notesCell(item, hidden) {
  const cell = element("td");
  if (item.discordant && !hidden) {
    cell.append(element("span", { class: "flag", text: "⇄ against label" }));
  }
  if (words.isUnusual(item)) {
    cell.append(element("span", { class: "flag", text: "! unlike what the model knows", title: words.unusualInWords(item) }));
  }
  if (item.slide_ids.length === 0) cell.append(element("span", { class: "flag", text: "no slide" }));
  return cell;
}

function verdictsCell(item, hidden) {
  const cell = element("td");
  if (hidden) return cell; // of this case the reviewer has given none
  for (const { reviewer, verdict } of item.verdicts) {
    cell.append(
      element("span", { class: `mark ${verdict}`, title: `${reviewer}: ${verdict}` },
        element("span", { "aria-hidden": "true", text: `${MARKS[verdict]} ` }),
        `${verdict}, ${reviewer}`),
    );
  }
  return cell;
}

function row(item, run, hidden) {
  const link = element("a", {
    class: "case",
    href: write({ case: item.patient_id }),
    "data-patient": item.patient_id,
    text: item.patient_id,
  });
  return element(
    "tr", {},
    element("th", { scope: "row" }, link),
    element("td", { text: item.site }),
    predictionCell(item, run),
    element("td", { class: hidden ? "label quiet" : "label", text: hidden ? "hidden" : words.labelInWords(item) }),
    notesCell(item, hidden),
    verdictsCell(item, hidden),
  );
}

export class Worklist {
  /** `hiding` knows of which cases the label and others' verdicts are hidden. */
  constructor(hiding) {
    this.hiding = hiding;
    this.offset = 0;
    this.said = []; // what each row shows
    this.turn = 0;
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const name of FILTERS.slice(1)) {
      byId(name).addEventListener("change", () => this.load(0));
    }
    byId("find").addEventListener("input", () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => this.load(0), TYPING_PAUSE_MS);
    });
    byId("page-back").addEventListener("click", () => this.load(this.offset - AT_ONCE));
    byId("page-on").addEventListener("click", () => this.load(this.offset + AT_ONCE));
  }

  start(run) {
    this.run = run;
    byId("question").textContent = run.question;
    for (const option of byId("order").options) option.hidden = !run.orders.includes(option.value);
    byId("order").value = run.orders[0];
    const sites = run.sites.map((site) => ({ value: site, text: site }));
    offer(byId("site"), [{ value: "", text: "all" }, ...sites]);
    this.#restore();
  }

  /** Ask for the page of rows that begins at `offset` with the filters as they are. */
  async load(offset = this.offset) {
    const mine = ++this.turn;
    const asked = this.#asked;
    sessionStorage.setItem(KEPT, JSON.stringify(asked));
    try {
      const found = await api.cases({ ...asked, offset: Math.max(offset, 0), limit: AT_ONCE });
      if (mine !== this.turn) return;
      this.offset = Math.max(offset, 0);
      const last = AT_ONCE * Math.floor((found.n_matching - 1) / AT_ONCE);
      if (found.n_matching && this.offset > last) await this.load(last); // fewer match than before
      else this.#show(found);
    } catch (error) {
      if (mine === this.turn) say(error.message, { problem: true });
    }
  }

  #show({ cases, n, n_matching: matching, n_reviewed_mine: mine, n_reviewed_any: any }) {
    this.#showRows(cases);
    byId("progress-text").textContent =
      `${mine} of ${n} reviewed by you` + (any > mine ? ` · ${any} by anybody` : "");
    byId("progress").max = Math.max(n, 1);
    byId("progress").value = mine;
    const all = words.plural(n, "case");
    const some = `${matching.toLocaleString("en")} of ${all}`;
    const none = `${some}: none fits all that is chosen above.`;
    byId("count").textContent =
      n === 0 ? "This run has no cases." : matching === n ? all : matching === 0 ? none : some;
    byId("pages").hidden = matching <= AT_ONCE;
    const last = Math.min(this.offset + AT_ONCE, matching);
    byId("page-text").textContent = `${this.offset + 1} to ${last} of ${matching.toLocaleString("en")}`;
    byId("page-back").disabled = this.offset === 0;
    byId("page-on").disabled = last >= matching;
  }

  /** Show the rows; one that says the same stays, so that neither a click begun on it nor the focus is lost. */
  #showRows(cases) {
    const body = byId("cases");
    cases.forEach((item, i) => {
      const hidden = this.hiding.of(item);
      const said = JSON.stringify([item, hidden, this.run.model_digest]);
      if (this.said[i] === said) return;
      this.said[i] = said;
      const made = row(item, this.run, hidden);
      if (body.children[i]) body.children[i].replaceWith(made);
      else body.append(made);
    });
    while (body.children.length > cases.length) body.lastElementChild.remove();
    this.said.length = cases.length;
  }

  /** Put the focus on a case, or on the first. */
  focus(patientId) {
    const links = [...byId("cases").querySelectorAll(".case")];
    const link = links.find((each) => each.dataset.patient === patientId) ?? links[0];
    (link ?? byId("worklist-title")).focus();
  }

  /** Move the focus up or down the rows. */
  move(by) {
    const links = [...byId("cases").querySelectorAll(".case")];
    const here = links.indexOf(document.activeElement);
    links[here < 0 ? 0 : Math.min(Math.max(here + by, 0), links.length - 1)]?.focus();
  }

  /** The case after (1) or before (-1) another in the list as it is filtered, or null; `todo` passes over one's own. */
  async neighbour(patientId, by, { todo = false } = {}) {
    const asked = this.#asked;
    const leadsBack = by < 0 && LEAVING.includes(asked.reviewed);
    if (leadsBack) asked.reviewed = "any";
    const found = await api.neighbour({ ...asked, patient_id: patientId, by, todo });
    if (found && !leadsBack) this.offset = AT_ONCE * Math.floor(found.place / AT_ONCE); // who returns sees it
    return found?.patient_id ?? null;
  }

  /** Show nobody. */
  empty() {
    this.turn += 1;
    clearTimeout(this.pause);
    this.said = [];
    byId("cases").replaceChildren();
    byId("find").value = "";
  }

  /** Forget what was looked for. */
  forget() {
    sessionStorage.removeItem(KEPT);
  }

  get #asked() {
    return Object.fromEntries(FILTERS.map((name) => [name, byId(name).value.trim()]));
  }

  /** Choose what was chosen when the page was last loaded, where it is still offered. */
  #restore() {
    const isObject = (found) => found !== null && typeof found === "object" && !Array.isArray(found);
    const kept = parsed(sessionStorage.getItem(KEPT), isObject) ?? {};
    byId("find").value = kept.find ?? "";
    for (const name of FILTERS.slice(1)) {
      const isOffered = [...byId(name).options].some(({ value, hidden }) => value === kept[name] && !hidden);
      if (isOffered) byId(name).value = kept[name];
    }
  }
}
