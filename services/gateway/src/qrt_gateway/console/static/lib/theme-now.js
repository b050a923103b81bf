// Runs before anything is drawn, so that a chosen theme does not flash up late.
try {
  const chosen = localStorage.getItem("qrt.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is switched off: the system's theme it is.
}
