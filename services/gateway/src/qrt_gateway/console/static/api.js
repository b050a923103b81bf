// Requests to the gateway that served this page, with the session's cookie.
import {Store} from "./lib/store.js";

/** Who is signed in: `undefined` until that is known, null for nobody, else what /v1/account says. */
export const account = new Store(undefined);

/** Tell whether this session's token is for a scope: "read", "run", "write" or "admin". */
export function may(who, scope) {
  return Boolean(who?.scopes.includes(scope));
}

/** A refusal (RFC 9457). `field` names the field at fault; `errors` has {pointer, detail} of each. */
export class Problem extends Error {
  constructor({status, title, detail, field = null, errors = [], code = "", retryable = false, ...more}) {
    super(detail || title);
    Object.assign(this, {status, title, detail: detail || title, field, errors, code, retryable, more});
  }

  /** What is wrong with a field itself, nothing in it. */
  at(name) {
    return this.errors.filter((each) => each.pointer === `/${name}`).map((each) => each.detail).join("; ");
  }

  /** What is wrong with a field, by its JSON pointer without the first slash; "" if nothing is. */
  of(name) {
    const said = this.errors.filter((each) => each.pointer === `/${name}` || each.pointer.startsWith(`/${name}/`));
    if (said.length) return said.map((each) => each.detail).join("; ");
    return this.errors.length === 0 && this.field === name ? this.detail : "";
  }
}

/** Return a path with query parameters; those that are null, undefined or "" are left out. */
export function withQuery(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * Send a request; returns the Response of a success. Throws Problem. `body` is sent as JSON, or as the form it is;
 * `text` is JSON already.
 */
export async function request(path, {method = "GET", body, text, query, headers = {}, signal} = {}) {
  const options = {method, signal, credentials: "same-origin", headers: {"X-QRT-Console": "1", ...headers}};
  if (body instanceof FormData || body instanceof Blob) {
    options.body = body; // which says its own type
  } else if (body !== undefined || text !== undefined) {
    options.body = text ?? JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(withQuery(path, query), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({status: 0, title: "The runtime cannot be reached", detail: "The runtime cannot be reached. Is it running?", retryable: true});
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401 && path.startsWith("/v1/")) account.value = null;
  throw problem;
}

/** Send a request; returns the JSON of its answer, null for an empty one. Throws Problem. */
export async function api(path, options) {
  const response = await request(path, options);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Find out who is signed in. */
export async function whoAmI() {
  // Asked first: a refusal, however expected, stands in the browser's log as an error.
  const {signed_in: signedIn} = await api("/console/session");
  account.value = signedIn ? await api("/v1/account") : null;
}

export async function signIn(token) {
  await request("/console/session", {method: "POST", body: {token}});
  await whoAmI();
}

export async function signOut() {
  await request("/console/session", {method: "DELETE"});
  account.value = null;
}

async function problemOf(response) {
  try {
    return new Problem({...await response.json(), status: response.status});
  } catch {
    return new Problem({status: response.status, title: `The runtime answered with ${response.status}`});
  }
}
