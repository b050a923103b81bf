// Values as the runtime writes them: JSON, with objects of `$type` for what JSON does not have.

/** An integer that a JavaScript number would round: its digits. */
export class Digits {
  constructor(text) {
    this.text = text;
  }
}

/** Return what a JSON text says, with every digit of its integers. Throws SyntaxError. */
export function parsed(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  try {
    return JSON.parse(text, (_, value, context) => {
      const written = context?.source;
      return typeof value === "number" && written && !Number.isSafeInteger(value) && /^-?\d+$/.test(written)
        ? new Digits(written)
        : value;
    });
  } catch (error) {
    if (error instanceof RangeError) return JSON.parse(text); // nested deeper than a reviver can follow
    throw error;
  }
}

export const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Digits);

/** Return the kind of a tagged object, null of anything else. */
export function kindOf(value) {
  return isObject(value) && typeof value.$type === "string" ? value.$type : null;
}

/** Return a number for what can be drawn as one; NaN for the rest. */
export function numberOf(value) {
  if (typeof value === "number") return value;
  if (value instanceof Digits) return Number(value.text);
  if (typeof value === "boolean") return Number(value);
  switch (kindOf(value)) {
    case "numpy":
      return numberOf(value.value);
    case "float":
      return {inf: Infinity, "-inf": -Infinity}[value.value] ?? NaN;
    case "int":
    case "Decimal":
      return Number(value.value);
    default:
      return NaN;
  }
}

const FORMATS = {
  complex: (value) => `${value.real} ${value.imag < 0 ? "\u2212" : "+"} ${Math.abs(value.imag)}i`,
  float: (value) => String(value.value),
  int: (value) => String(value.value),
  numpy: (value) => `${summary(value.value)}`,
  datetime: (value) => String(value.value),
  date: (value) => String(value.value),
  time: (value) => String(value.value),
  Decimal: (value) => String(value.value),
  UUID: (value) => String(value.value),
  timedelta: duration,
};

/** Return a tagged scalar as a person would write it; null for what is no such. */
export function scalarText(value) {
  const kind = kindOf(value);
  return kind !== null && Object.hasOwn(FORMATS, kind) ? FORMATS[kind](value) : null;
}

function duration({days = 0, seconds = 0, microseconds = 0}) {
  const rest = Number(seconds) + Number(microseconds) / 1e6;
  const [hours, minutes] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60];
  const parts = [[days, "d"], [hours, "h"], [minutes, "min"]].filter(([count]) => count);
  const left = Math.round((rest - 3600 * hours - 60 * minutes) * 1e6) / 1e6;
  return [...parts.map(([count, unit]) => `${count} ${unit}`), `${left} s`].join(" ");
}

/** Return a short text for any value, for a table's cell. */
export function summary(value, most = 200) {
  if (typeof value === "string") return cut(value, most);
  if (value instanceof Digits) return cut(value.text, most);
  return scalarText(value) ?? cut(written(value, most), most);
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}\u2026` : text);

/** Return JSON text of a value, about as much of it as is wanted; nested deeper than 20 levels it says "…". */
function written(value, most, depth = 0) {
  if (value instanceof Digits) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (depth > 20) return "\u2026";
  const tagged = scalarText(value);
  if (tagged !== null) return tagged;
  const parts = [];
  let size = 0;
  for (const [name, each] of Object.entries(value)) {
    if (size > most) break;
    const text = written(each, most - size, depth + 1);
    parts.push(Array.isArray(value) ? text : `${JSON.stringify(name)}: ${text}`);
    size += parts.at(-1).length;
  }
  return Array.isArray(value) ? `[${parts.join(", ")}]` : `{${parts.join(", ")}}`;
}

/** Return the bytes of base64 text; null if it is none. */
export function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(String(base64)), (each) => each.charCodeAt(0));
  } catch {
    return null;
  }
}

const READERS = {
  b1: [1, (view, at) => Boolean(view.getUint8(at))],
  i1: [1, (view, at) => view.getInt8(at)],
  u1: [1, (view, at) => view.getUint8(at)],
  i2: [2, (view, at) => view.getInt16(at, true)],
  u2: [2, (view, at) => view.getUint16(at, true)],
  i4: [4, (view, at) => view.getInt32(at, true)],
  u4: [4, (view, at) => view.getUint32(at, true)],
  i8: [8, (view, at) => whole(view.getBigInt64(at, true))],
  u8: [8, (view, at) => whole(view.getBigUint64(at, true))],
  f4: [4, (view, at) => real(view.getFloat32(at, true))],
  f8: [8, (view, at) => real(view.getFloat64(at, true))],
  c8: [8, (view, at) => complex(view.getFloat32(at, true), view.getFloat32(at + 4, true))],
  c16: [16, (view, at) => complex(view.getFloat64(at, true), view.getFloat64(at + 8, true))],
};

const whole = (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : new Digits(String(big)));
const real = (value) => (Number.isFinite(value) ? value : {$type: "float", value: String(value)});
const complex = (re, im) => ({$type: "complex", real: re, imag: im});

/** An array of numbers as numpy has it, read where it is looked at. */
export class NumberArray {
  #view;
  #read;
  #size;

  /** `place`: of its first item, among all of them. */
  constructor(dtype, shape, view, place = 0) {
    [this.#size, this.#read] = READERS[dtype];
    this.#view = view;
    this.dtype = dtype;
    this.shape = shape;
    this.place = place;
  }

  get length() {
    return this.shape[0] ?? 1;
  }

  /** Return an item of the first axis: a value, or an array of one axis less. */
  at(index) {
    const rest = this.shape.slice(1);
    const place = this.place + index * rest.reduce((product, each) => product * each, 1);
    if (rest.length) return new NumberArray(this.dtype, rest, this.#view, place);
    return this.#read(this.#view, place * this.#size);
  }
}

/** Return an `ndarray` object as something to look into; null if it is not what it should be. */
export function arrayOf(value) {
  const dtype = /^[<|=]?([biufc]\d{1,2})$/.exec(String(value.dtype))?.[1];
  const shape = value.shape;
  if (!dtype || !Object.hasOwn(READERS, dtype) || !Array.isArray(shape)) return null;
  if (!shape.length || !shape.every((each) => Number.isInteger(each) && each >= 0)) return null;
  const bytes = bytesOf(value.base64);
  const size = shape.reduce((product, each) => product * each, READERS[dtype][0]);
  return bytes?.length === size ? new NumberArray(dtype, shape, new DataView(bytes.buffer)) : null;
}
