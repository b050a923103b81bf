// Addresses below /console, without reloading the page. Plain links are enough: clicks are caught here.
import {Store, useStore} from "./lib/store.js";

function here() {
  const path = location.pathname.replace(/\/+$/, "") || "/console";
  return {path, query: Object.fromEntries(new URLSearchParams(location.search))};
}

const place = new Store(here());
addEventListener("popstate", () => { place.value = here(); });
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  if (link.origin !== location.origin || !/^\/console(\/|$)/.test(link.pathname)) return;
  if (link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
});

/** Go to an address below /console. */
export function navigate(address, {replace = false} = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  place.value = here();
  if (!replace) scrollTo(0, 0);
}

/** Change query parameters of this page (null removes one) without a step in the history. */
export function setQuery(change) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  navigate(location.pathname + (query.size ? `?${query}` : ""), {replace: true});
}

/** {path, query} of the present page, followed. */
export function usePlace() {
  return useStore(place);
}

/** Return what a pattern such as "/console/jobs/:id" finds in a path, null if it is another one. */
export function match(pattern, path) {
  const [wanted, found] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== found.length) return null;
  const params = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = decoded(found[index]);
    else if (part !== found[index]) return null;
  }
  return params;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
