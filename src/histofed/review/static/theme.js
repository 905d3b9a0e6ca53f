// Dark rooms and bright offices: the computer's own choice, or the reader's.

import { byId } from "./dom.js";

const KEPT = "histofed-theme";

export function chooseTheme() {
  const select = byId("theme");
  select.value = localStorage.getItem(KEPT) ?? "";
  const apply = () => {
    document.documentElement.dataset.theme = select.value;
  };
  select.addEventListener("change", () => {
    localStorage.setItem(KEPT, select.value);
    apply();
  });
  apply();
}
