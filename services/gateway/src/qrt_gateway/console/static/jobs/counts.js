// Which values are counts or probabilities of measured bitstrings: told by their shape.

import {arrayOf, isObject, kindOf, numberOf} from "./values.js";

const BITS = /^[01](?:[01 _]*[01])?$/;
const DEEPEST = 4;
const MOST = 12;
const LOOKED_AT = 2000;

/** Return `[bitstring, number]` pairs of what is counts or probabilities; null of anything else. */
export function countsOf(value, name = "") {
  if (kindOf(value) === "ndarray") return /prob/i.test(name) ? indexed(arrayOf(value)) : null;
  if (Array.isArray(value)) return /prob/i.test(name) ? indexed({length: value.length, at: (at) => value[at]}) : null;
  if (!isObject(value) || kindOf(value) !== null) return null;
  const pairs = [];
  let length = 0;
  for (const key of Object.keys(value)) {
    const number = numberOf(value[key]);
    if (!BITS.test(key) || typeof value[key] === "boolean" || !(number >= 0 && number < Infinity)) return null;
    if (length && key.length !== length) return null;
    length = key.length;
    pairs.push([key, number]);
  }
  return pairs.length ? pairs : null;
}

/** Return pairs of an array that has a probability for each state. */
function indexed(array) {
  const bits = Math.log2(array?.length ?? 0);
  if (!Number.isInteger(bits) || bits < 1 || bits > 12) return null;
  const pairs = [];
  let total = 0;
  for (let at = 0; at < array.length; at += 1) {
    const number = numberOf(array.at(at));
    if (!(number >= 0 && number <= 1 + 1e-9)) return null;
    total += number;
    pairs.push([at.toString(2).padStart(bits, "0"), number]);
  }
  return Math.abs(total - 1) < 1e-3 ? pairs : null;
}

/** Return `[{name, pairs}]` of all counts and probabilities not too deep in a value. */
export function allCounts(value) {
  const found = [];
  let looked = 0;
  const look = (each, path, depth) => {
    looked += 1;
    if (found.length >= MOST || looked > LOOKED_AT || each === null || typeof each !== "object") return;
    const pairs = countsOf(each, path.at(-1) ?? "");
    if (pairs) found.push({name: path.join(" \u203a ") || "result", pairs});
    else if (depth < DEEPEST && kindOf(each) !== "ndarray") {
      for (const key of Object.keys(each).slice(0, LOOKED_AT)) look(each[key], [...path, key], depth + 1);
    }
  };
  look(value, [], 0);
  return found;
}
