// The gallery: tiles of highest, lowest or any score, or blinded, and a verdict on each.

import * as api from "./api.js";
import { byId, element, say } from "./dom.js";
import { numberInWords, plural } from "./words.js";

export const TILE_VERDICTS = ["relevant", "not relevant", "artefact", "unsure"];
const AT_ONCE = 24;
const PICTURE_PX = 224;
const NOTES = {
  top: "The tiles with the highest scores, highest first.",
  bottom: "The tiles with the lowest scores, lowest first.",
  random: "Tiles drawn at random.",
  blinded: "Tiles of high and other scores in mixed order. Judge each by its picture alone, and before you look at the other lists.",
};

export class Gallery {
  /** `onVerdict(verdict)`, as much of it as is known here, resolves to the row that was kept, or null. */
  constructor({ onTile, onVerdict }) {
    Object.assign(this, { onTile, onVerdict });
    this.turn = 0;
    this.seed = 0;
    byId("gallery-which").addEventListener("change", () => this.load());
    byId("gallery-again").addEventListener("click", () => {
      this.seed += 1;
      this.load();
    });
    byId("tiles").addEventListener("keydown", (event) => this.#walk(event));
    byId("tiles").addEventListener("focusin", ({ target }) => {
      this.last = target.closest(".tile").querySelector(".tile-picture");
    });
  }

  get blinded() {
    return byId("gallery-which").value === "blinded";
  }

  /** Show the tiles of a slide and head; `given` are the reviewer's verdicts so far. */
  async open(slide, head, given) {
    Object.assign(this, { slide, head, given });
    await this.load();
  }

  /** Show no tile. */
  empty() {
    this.turn += 1;
    Object.assign(this, { slide: null, head: null, given: [] });
    byId("tiles").replaceChildren();
  }

  async load() {
    const mine = ++this.turn;
    const which = byId("gallery-which").value;
    byId("gallery-again").disabled = which === "top" || which === "bottom";
    byId("gallery-again").title = byId("gallery-again").disabled ? "The highest and the lowest are always the same" : "";
    byId("tiles").replaceChildren();
    if (!this.head) {
      byId("gallery-note").textContent = "This slide has no scores, so there are no tiles to show.";
      return;
    }
    byId("gallery-note").textContent = "Loading …";
    try {
      const asked = { head: this.head.name, n: AT_ONCE, seed: this.seed, which };
      const { tiles } = await api.gallery(this.slide.slide_id, asked);
      if (mine !== this.turn) return;
      this.since = performance.now();
      byId("tiles").replaceChildren(...tiles.map((tile, i) => this.#card(tile, i)));
      this.#count();
      this.#begin();
    } catch (error) {
      if (mine !== this.turn) return;
      byId("gallery-note").textContent = "";
      say(error.message, { problem: true });
    }
  }

  /** Put the focus on the first tile that is not judged yet. */
  #begin() {
    const first = byId("tiles").querySelector(".tile");
    const open = byId("tiles").querySelector(".tile:not(.judged)") ?? first;
    open?.querySelector(".tile-picture").focus({ preventScroll: open === first });
  }

  /** Give the verdict of key 1 to 4 to the tile that has the focus. */
  press(index) {
    const card = document.activeElement.closest?.(".tile");
    if (card) card.querySelectorAll("[data-tile-verdict]")[index].click();
    else this.focus();
  }

  /** Put the focus where it was among the tiles; without it no key judges one. */
  focus() {
    if (this.last?.isConnected) this.last.focus();
    else this.#begin();
  }

  #card(tile, i) {
    const name = `Tile ${i + 1}`;
    const picture = element(
      "button",
      { class: "tile-picture", type: "button", "aria-label": this.blinded ? name : `${name}: show it on the slide` },
      element("img", {
        src: api.tilePictureAddress(this.slide.slide_id, tile.tile, PICTURE_PX),
        alt: "",
        width: PICTURE_PX,
        height: PICTURE_PX,
        loading: "lazy",
      }),
    );
    if (!this.blinded) picture.addEventListener("click", () => this.onTile(tile));
    const words = this.blinded
      ? name
      : `${name} · score ${numberInWords(tile.score)}, above ${Math.floor(100 * tile.above)}% of tiles`;
    const choices = element("div", { class: "choices", role: "group", "aria-label": `Verdict on tile ${i + 1}` });
    const card = element("li", { class: "tile" }, picture, element("p", { class: "number", text: words }), choices);
    TILE_VERDICTS.forEach((verdict, key) => {
      const button = element("button", { class: "button", type: "button", "data-tile-verdict": verdict },
        element("kbd", { text: String(key + 1) }), ` ${verdict}`);
      button.addEventListener("click", () => this.#give(card, tile, verdict));
      choices.append(button);
    });
    const own = this.given.find((row) => row.tile === tile.tile && row.head === this.head.name);
    this.#press(card, own?.verdict);
    return card;
  }

  async #give(card, tile, verdict) {
    const next = card.nextElementSibling?.querySelector(".tile-picture");
    const { slide } = this;
    const kept = await this.onVerdict({
      slide_id: slide.slide_id,
      scores_digest: slide.scores_digest,
      tile: tile.tile,
      head: this.head.name,
      verdict,
      blinded: this.blinded,
      elapsed_ms: Math.round(performance.now() - this.since),
    });
    if (!kept || slide !== this.slide) return; // or the reviewer has gone on meanwhile
    this.since = performance.now();
    this.given = [kept, ...this.given];
    this.#press(card, verdict);
    this.#count();
    if (byId("tiles").contains(document.activeElement)) next?.focus(); // not from a comment begun meanwhile
  }

  #press(card, verdict) {
    card.classList.toggle("judged", verdict !== undefined);
    for (const button of card.querySelectorAll("[data-tile-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tileVerdict === verdict));
    }
  }

  #count() {
    const all = byId("tiles").children.length;
    const judged = byId("tiles").querySelectorAll(".judged").length;
    const which = byId("gallery-which").value;
    byId("gallery-note").textContent = `${NOTES[which]} ${judged} of ${plural(all, "tile")} judged.`;
  }

  #walk(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const pictures = [...byId("tiles").querySelectorAll(".tile-picture")];
    const here = pictures.findIndex((each) => each.closest(".tile").contains(document.activeElement));
    const next = pictures[here + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
