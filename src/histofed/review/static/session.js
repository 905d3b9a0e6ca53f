// Who reviews: a name where the page is on one's own machine, a token where it is not.

import * as api from "./api.js";
import { byId, say } from "./dom.js";

const WORDS = {
  none: {
    title: "Who reviews?",
    words: "Your name is kept with your verdicts.",
    label: "Your name",
    type: "text",
  },
  token: {
    title: "Sign in",
    words: "Enter the token that you were given for this review.",
    label: "Your token",
    type: "password",
  },
};

export class Session {
  /**
   * `onChange()` after somebody has entered (a promise), `onLock()` when nobody is there who may look,
   * `onLeave()` after who was there has signed out here, `hasDrafts()` whether anything was written and not sent.
   */
  constructor({ onChange, onLock, onLeave, hasDrafts }) {
    Object.assign(this, { onChange, onLock, onLeave, hasDrafts });
    this.access = "none";
    this.reviewer = null;
    this.changed = Promise.resolve(); // the page as it is for who entered last
    this.asking = null; // whether somebody is there, once they have answered
    api.whenSignedOut(() => this.again());
    byId("entry-form").addEventListener("submit", (event) => this.#enter(event));
    byId("entry-later").addEventListener("click", () => byId("entry").close());
    byId("entry").addEventListener("cancel", (event) => {
      if (!this.mayLook) event.preventDefault();
    });
    byId("entry").addEventListener("close", () => {
      if (!this.mayLook) byId("entry").showModal(); // some browsers let a second Esc through
      else {
        this.asking = null;
        this.settle?.(this.changed.then(() => this.reviewer !== null));
      }
    });
    byId("who").addEventListener("click", () => this.#change());
    byId("leaving").addEventListener("close", () => byId("leaving").returnValue === "leave" && this.#leave());
  }

  /** Slides are shown without a name only on one's own machine. */
  get mayLook() {
    return this.access === "none" || this.reviewer !== null;
  }

  /** Begin, or begin again; `why` is said to who is asked to sign in. */
  async start(why = "") {
    const before = this.reviewer;
    this.#take(await api.session());
    if (this.reviewer === null) await this.#askOrSay(why);
    else if (before !== null && before !== this.reviewer) await this.onChange(); // in another tab of this browser
  }

  /** Ask the server again who it is: another tab, or the web server in front, may have changed it. */
  async again() {
    if (byId("entry").open) return;
    const before = this.reviewer;
    const found = await api.session().catch(() => null); // no answer changes nothing
    if (found === null || found.reviewer === before || this.reviewer !== before) return;
    this.#take(found);
    if (this.reviewer !== null) await this.onChange();
    else if (!this.mayLook) await this.#askOrSay();
  }

  /** Who comes through another web server cannot sign in here. */
  async #askOrSay(why = "") {
    if (this.access === "proxy") say("Nobody is signed in. Ask whoever runs this page how to sign in.", { problem: true });
    else await this.ask(why);
  }

  /** Ask who it is; resolves to whether somebody is there, once the page has begun again for them. */
  ask(why = "") {
    if (this.asking !== null) {
      if (why) byId("entry-problem").textContent = why;
      return this.asking;
    }
    const kind = WORDS[this.access] ?? WORDS.none;
    byId("entry-title").textContent = kind.title;
    byId("entry-words").textContent = kind.words;
    byId("entry-label").textContent = kind.label;
    byId("entry-text").type = kind.type;
    byId("entry-text").value = "";
    byId("entry-problem").textContent = why;
    byId("entry-later").hidden = !this.mayLook;
    byId("entry-later").textContent = this.reviewer === null ? "Only look" : `Stay ${this.reviewer}`;
    if (!byId("entry").open) byId("entry").showModal();
    byId("entry-text").focus();
    this.asking = new Promise((settle) => {
      this.settle = settle;
    });
    return this.asking;
  }

  /** Whether somebody is there to sign a verdict; asks where nobody is. */
  async known() {
    return this.reviewer !== null || this.ask();
  }

  #take({ access, reviewer }) {
    Object.assign(this, { access, reviewer });
    document.body.classList.toggle("locked", !this.mayLook);
    if (!this.mayLook) {
      document.title = "review"; // it named the patient, as what was said may do
      say("");
      this.onLock();
    }
    byId("who").hidden = reviewer === null && access !== "none";
    byId("who").textContent = reviewer ?? "Only looking";
    byId("who").disabled = access === "proxy";
    byId("who").title = { none: "Say who reviews", token: "Sign out", proxy: "Signed in" }[access];
  }

  async #enter(event) {
    event.preventDefault();
    const text = byId("entry-text").value.trim();
    if (text === "") {
      byId("entry-problem").textContent = "Please fill this in.";
      return;
    }
    try {
      this.#take(await api.enter(this.access === "token" ? { token: text } : { reviewer: text }));
      this.changed = this.onChange();
      byId("entry").close();
    } catch (error) {
      byId("entry-problem").textContent = error.message;
      byId("entry-text").focus();
    }
  }

  /** Let somebody else review; who has a token is asked first whether to sign out. */
  #change() {
    const loss = this.hasDrafts() ? `What ${this.reviewer} wrote and did not send is lost to somebody else.` : "";
    if (this.access !== "token") return this.ask(loss);
    byId("leaving-problem").textContent = this.hasDrafts() ? "What you wrote and did not send is lost." : "";
    byId("leaving").returnValue = "stay"; // Esc says nothing
    return byId("leaving").showModal();
  }

  async #leave() {
    try {
      this.#take(await api.leave());
    } catch (error) {
      say(`Signing out did not work. ${error.message}`, { problem: true });
      return;
    }
    this.onLeave();
  }
}
