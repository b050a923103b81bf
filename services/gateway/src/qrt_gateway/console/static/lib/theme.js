// Light, dark, or as the system says.
import {Store} from "./store.js";

const ORDER = ["system", "light", "dark"];

/** The chosen theme. */
export const theme = new Store(document.documentElement.dataset.theme ?? "system");

/** Choose the next one, and remember it in this browser. */
export function nextTheme() {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length];
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem("qrt.theme", theme.value);
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
}
