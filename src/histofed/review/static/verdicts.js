// Sending verdicts, and none that was not meant: what is pressed too soon after a case was opened, twice,
// or while another is on its way gives none.

import * as api from "./api.js";
import { say } from "./dom.js";

const LOOK_MS = 500; // a verdict sooner than this was meant for the case before
const TWICE_MS = 300; // a verdict so soon after another is a key struck twice
const REFUSED = [503, 507]; // of errors of the server, those after which nothing was stored
const VERDICT_KEYS = /^[adu]$/i;

export const keptInWords = (row) => `Kept: ${row.verdict}, ${row.scope} of ${row.patient_id}.`;

/** What is known of a verdict that was answered by an error, or by nothing. */
function notKept({ message, status }) {
  const isRefused = status < 500 || REFUSED.includes(status);
  if (isRefused) return `The verdict was not kept. ${message}`;
  return `It is not known whether the verdict was kept. ${message} Give it again; twice the same counts once.`;
}

export class Verdicts {
  constructor(session) {
    this.session = session;
    this.looked = null; // which patient's slide has been shown, or could not be, and when
    this.sending = false;
    this.given = -Infinity; // when a verdict was last given
    this.acts = 0; // counts keys and clicks: who has gone on meanwhile is not taken elsewhere
    for (const kind of ["keydown", "pointerdown"]) {
      document.addEventListener(kind, (event) => this.#act(event), { capture: true });
    }
  }

  /** A patient is before the reviewer from now on; null for nobody. */
  look(patientId) {
    if (patientId === null) this.looked = null;
    else if (this.looked?.patientId !== patientId) {
      this.looked = { patientId, at: performance.now(), why: "the case has only just been opened" };
    }
  }

  /** Why a verdict would not be meant for a patient, who has not been in sight long enough; null where it would. */
  whyNot(patientId) {
    if (this.looked?.patientId !== patientId) return "the case is still being opened";
    return this.#hasJustLooked() ? this.looked.why : null;
  }

  #hasJustLooked() {
    return this.looked !== null && performance.now() - this.looked.at < LOOK_MS;
  }

  /** Note a key or a click; who went on typing as the case came begins to look at it when they stop. */
  #act({ type, key, repeat, target }) {
    // A verdict given once more by a slip is refused, and keeps nobody from the next case.
    const isVerdict = target.closest?.("[data-verdict]") || (VERDICT_KEYS.test(key) && !target.closest?.("input, textarea"));
    if (!repeat && !isVerdict && !target.closest?.("dialog")) this.acts += 1;
    if (type === "keydown" && this.#hasJustLooked()) this.looked.at = performance.now();
  }

  /** Send a verdict that was begun by a `writer`, if it is known who; resolves to the row that was kept, or null. */
  async send(verdict, writer) {
    if (this.sending || performance.now() - this.given < TWICE_MS) {
      say(this.sending ? "No verdict was given: the last one is still being sent." : "No second verdict was given.", { brief: true });
      return null;
    }
    [this.sending, this.given] = [true, performance.now()];
    try {
      if (!(await this.session.known())) return null;
      if (writer !== null && writer !== this.session.reviewer) {
        say(`No verdict was given: it was begun by ${writer}.`, { brief: true });
        return null;
      }
      const row = await api.give(verdict);
      // Who types on does not judge the case.
      if (this.looked !== null) Object.assign(this.looked, { at: performance.now(), why: "the last one has only just been kept" });
      if (this.session.mayLook) say(keptInWords(row), { brief: true });
      return row;
    } catch (error) {
      const tell = () => say(notKept(error), { problem: true });
      tell();
      if ([401, 403].includes(error.status)) {
        // The session ended, or the server began anew.
        await this.session.start("Your verdict was not kept: enter, and give it again.").catch(() => null);
        tell(); // the page may have begun again
      }
      return null;
    } finally {
      this.sending = false;
    }
  }
}
