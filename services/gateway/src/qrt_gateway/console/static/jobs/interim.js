// A job's interim results: their numbers as columns that a chart draws, and the newest of them whole.

import {isObject, kindOf, numberOf, parsed} from "./values.js";

export const POINTS = 8192; // of each column; more are merged, lowest and highest kept
const FIELDS = 48;
const KEEP = 50_000; // results kept whole
const KEEP_CHARACTERS = 32 << 20;
const LIST_FIELDS = 8;

/** Values of one field over the results: the lowest and the highest of each place. */
class Column {
  low = new Float64Array(POINTS).fill(NaN);
  high = new Float64Array(POINTS).fill(NaN);

  add(place, value) {
    if (!(this.low[place] <= value)) this.low[place] = value;
    if (!(this.high[place] >= value)) this.high[place] = value;
  }

  halve() {
    for (let at = 0; at < POINTS; at += 1) {
      const [a, b] = [2 * at, 2 * at + 1];
      this.low[at] = b < POINTS ? least(this.low[a], this.low[b]) : NaN;
      this.high[at] = b < POINTS ? -least(-this.high[a], -this.high[b]) : NaN;
    }
  }
}

function least(a, b) {
  if (Number.isNaN(a)) return b;
  return b < a ? b : a;
}

export class InterimStore {
  constructor() {
    this.clear();
  }

  clear() {
    this.count = 0;
    this.kept = []; // of the newest: {index, number, time, encoding, data}
    this.characters = 0;
    this.columns = new Map(); // by the field's name; "" is a result that is itself a number
    this.numbers = new Column();
    this.times = new Column();
    this.stride = 1; // results in one place
    this.progress = null;
    this.numeric = 0; // results that hold a number
    this.generation = (this.generation ?? 0) + 1;
  }

  /** Take in an output of kind `interim`. */
  feed(output) {
    const time = Date.parse(output.at);
    const value = valueOf(output);
    if (kindOf(value) === "progress") {
      this.progress = value;
      return;
    }
    this.#keep({index: this.count, number: output.number, time, encoding: output.encoding, data: output.data});
    if (this.count >= this.stride * POINTS) this.#halve();
    const place = Math.floor(this.count / this.stride);
    this.count += 1;
    this.numbers.add(place, this.count);
    this.times.add(place, time / 1000);
    this.#measure(value, place);
  }

  /** How many places of the columns are taken. */
  get places() {
    return Math.ceil(this.count / this.stride);
  }

  /** Number, from 0, of the first result that is kept whole. */
  get first() {
    return this.kept.length ? this.kept[0].index : this.count;
  }

  #keep(result) {
    this.kept.push(result);
    this.characters += result.data.length;
    if (this.kept.length < 2 * KEEP && this.characters < 2 * KEEP_CHARACTERS) return;
    // Seldom and many at once: taking off the first one each time would move all the others.
    let gone = 0;
    while (
      gone < this.kept.length - 1 &&
      (this.kept.length - gone > KEEP || this.characters > KEEP_CHARACTERS)
    ) {
      this.characters -= this.kept[gone].data.length;
      gone += 1;
    }
    this.kept.splice(0, gone);
  }

  #measure(value, place) {
    let any = false;
    for (const [name, number] of fields(value)) {
      any = true;
      let column = this.columns.get(name);
      if (!column) {
        if (this.columns.size >= FIELDS) continue;
        this.columns.set(name, (column = new Column()));
      }
      column.add(place, number);
    }
    if (any) this.numeric += 1;
  }

  #halve() {
    this.stride *= 2;
    for (const column of [this.numbers, this.times, ...this.columns.values()]) column.halve();
  }
}

/** Return what an interim result says: of text the text, of JSON the value. */
export function valueOf({encoding, data}) {
  if (encoding !== "json") return data;
  try {
    return parsed(data);
  } catch {
    return data;
  }
}

/** Yield the `[name, number]` of everything in a result that can be drawn. */
export function* fields(value) {
  if (typeof value === "string") {
    if (/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value)) yield ["", Number(value)];
    return;
  }
  yield* under("", value, 0);
}

function* under(name, value, depth) {
  const number = typeof value === "boolean" ? NaN : numberOf(value);
  if (Number.isFinite(number)) {
    yield [name, number];
  } else if (kindOf(value) === "complex") {
    yield [`${name || "value"}.real`, value.real];
    yield [`${name || "value"}.imag`, value.imag];
  } else if (Array.isArray(value) && value.length <= LIST_FIELDS && depth < 2) {
    for (let at = 0; at < value.length; at += 1) yield* under(`${name}[${at}]`, value[at], depth + 1);
  } else if (isObject(value) && kindOf(value) === null && depth < 2) {
    for (const key of Object.keys(value).slice(0, FIELDS)) {
      yield* under(name ? `${name}.${key}` : key.slice(0, 80), value[key], depth + 1);
    }
  }
}
