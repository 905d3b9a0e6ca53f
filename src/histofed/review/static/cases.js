// The list of patients, in the order in which the server sends them.

const percent = (probability) => `${Math.round(100 * probability)}%`;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const labelInWords = ({ label }) => (label === null ? "label unknown" : `label: ${label}`);

function entry(item, positive, choose) {
  const button = element("button", "case");
  button.type = "button";
  const track = element("span", "track");
  const fill = element("span", "fill");
  fill.style.width = percent(item.probability);
  track.append(fill);
  track.setAttribute("aria-hidden", "true");
  const value = element("span", "percent", percent(item.probability));
  value.setAttribute("aria-label", `predicted ${percent(item.probability)} ${positive}`);
  button.append(
    element("span", "name", item.patient_id),
    value,
    element("span", "quiet", item.site),
    element("span", "label", labelInWords(item)),
    track,
  );
  button.addEventListener("click", () => choose(item));
  const row = element("li");
  row.append(button);
  return { item, row, button };
}

/** Words under the heading of the chosen patient. */
export function summary(item, positive) {
  return `${item.site} · ${labelInWords(item)} · predicted ${percent(item.probability)} ${positive}`;
}

export class CaseList {
  constructor({ list, filter, count, onChoose }) {
    Object.assign(this, { list, filter, count, onChoose });
    this.entries = [];
    this.current = null;
    filter.addEventListener("input", () => this.#applyFilter());
  }

  fill(items, positive) {
    this.entries = items.map((item) => entry(item, positive, (chosen) => this.choose(chosen)));
    this.list.replaceChildren(...this.entries.map(({ row }) => row));
    this.#applyFilter();
  }

  /** Choose a patient; `slideId` picks one of several slides. */
  choose(item, { slideId, focus = false } = {}) {
    this.current = item;
    for (const { item: other, button } of this.entries) {
      button.setAttribute("aria-current", String(other === item));
      if (other !== item) continue;
      button.scrollIntoView({ block: "nearest" });
      if (focus) button.focus({ preventScroll: true });
    }
    this.onChoose(item, slideId);
  }

  /** Go `by` patients down the list as it is filtered now. */
  step(by) {
    const shown = this.entries.filter(({ row }) => !row.hidden);
    const here = shown.findIndex(({ item }) => item === this.current);
    const next = shown[here < 0 ? 0 : here + by];
    if (next) this.choose(next.item, { focus: true });
  }

  ofSlide(slideId) {
    return this.entries.find(({ item }) => item.slide_ids.includes(slideId))?.item;
  }

  #applyFilter() {
    const wanted = this.filter.value.trim().toLowerCase();
    let shown = 0;
    for (const { item, row } of this.entries) {
      const text = `${item.patient_id} ${item.site} ${item.label ?? ""}`.toLowerCase();
      row.hidden = !text.includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    const all = this.entries.length;
    const noun = all === 1 ? "patient" : "patients";
    this.count.textContent = shown === all ? `${all} ${noun}` : `${shown} of ${all} ${noun}`;
  }
}
