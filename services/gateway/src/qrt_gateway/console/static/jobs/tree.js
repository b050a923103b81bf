// A value as a tree that is opened where one looks: only what is open stands in the page.
import {html, useState} from "../lib/view.js";
import {count} from "../lib/format.js";
import {visible} from "./ansi.js";
import {several} from "./parts.js";
import {Digits, NumberArray, arrayOf, bytesOf, isObject, kindOf, scalarText, summary} from "./values.js";

const MORE = 100; // children shown at once
const LONG = 2000; // characters of a text shown at once

export function Tree({value, label = "Value"}) {
  return html`<ul class="tree" role="tree" aria-label=${label}>
    <${Node} value=${value} depth=${0} /></ul>`;
}

function Node({name, value, depth}) {
  const inside = insideOf(value);
  return inside ? html`<${Branch} name=${name} inside=${inside} value=${value} depth=${depth} />`
    : html`<li role="treeitem" class="leaf" aria-selected="false">${named(name)}<${Leaf} value=${value} /></li>`;
}

const named = (name) => name !== undefined && html`<span class="key"><bdi>${visible(String(name))}</bdi></span>`;

function Branch({name, inside, value, depth}) {
  const [open, setOpen] = useState(depth < 1 || (depth < 3 && inside.size <= 12));
  const [shown, setShown] = useState(MORE);
  const upTo = Math.min(shown, inside.size);
  return html`<li role="treeitem" aria-expanded=${open ? "true" : "false"} aria-selected="false">
    <button type="button" class="twist" onClick=${() => setOpen(!open)}>
      <span class="arrow" aria-hidden="true">${open ? "▾" : "▸"}</span>${named(name)}<span class="kind">${inside.label}</span>
      ${!open && html`<span class="glimpse">${glimpse(value)}</span>`}</button>
    ${open && html`<ul role="group">
      ${Array.from({length: upTo}, (_, at) => {
        const [key, each] = inside.at(at);
        return html`<${Node} key=${at} name=${key} value=${each} depth=${depth + 1} />`;
      })}
      ${upTo < inside.size && html`<li role="treeitem" aria-selected="false"><button type="button" class="link" onClick=${() => setShown(shown + 10 * MORE)}>
        ${count(inside.size - upTo)} more</button></li>`}
    </ul>`}
  </li>`;
}

function Leaf({value}) {
  const [whole, setWhole] = useState(false);
  if (typeof value === "string") {
    const text = whole || value.length <= LONG ? value : value.slice(0, LONG);
    return html`<span class="text"><bdi>${JSON.stringify(text).slice(1, -1) === text ? `"${visible(text)}"` : visible(JSON.stringify(text))}</bdi>
      ${text.length < value.length && html`<button type="button" class="link" onClick=${() => setWhole(true)}>
        ${count(value.length - LONG)} more characters</button>`}</span>`;
  }
  if (value === null || typeof value === "boolean") return html`<span class="word">${String(value)}</span>`;
  if (typeof value === "number") return html`<span class="number">${String(value)}</span>`;
  if (value instanceof Digits) return html`<span class="number">${value.text}</span>`;
  if (kindOf(value) === "bytes") return html`<${Bytes} value=${value} />`;
  const text = scalarText(value);
  if (text !== null) return html`<span class="number">${visible(text)}</span> <span class="kind">${visible(kindOf(value))}</span>`;
  return html`<span class="kind">${Array.isArray(value) ? "empty list" : "empty"}</span>`;
}

function Bytes({value}) {
  const bytes = bytesOf(value.base64);
  if (!bytes) return html`<span class="text">${visible(summary(value.base64))}</span>`;
  const hex = [...bytes.slice(0, 64)].map((each) => each.toString(16).padStart(2, "0")).join(" ");
  return html`<span class="number">${hex}${bytes.length > 64 ? " …" : ""}</span> <span class="kind">${several(bytes.length, "byte")}</span>`;
}

const glimpse = (value) => (value instanceof NumberArray ? "" : visible(summary(value, 80)));

const ofList = (label, items) => ({label: `${label} of ${count(items.length)}`, size: items.length, at: (at) => [at, items[at]]});

const WORDS = {b: "bool", i: "int", u: "uint", f: "float", c: "complex"};
const nameOf = (dtype) => (dtype[0] === "b" ? WORDS.b : `${WORDS[dtype[0]]}${8 * Number(dtype.slice(1))}`);

function ofArray(array) {
  return {
    label: `${nameOf(array.dtype)} array, ${array.shape.join(" × ")}`,
    size: array.length,
    at: (at) => [at, array.at(at)],
  };
}

function ofObject(label, value, names) {
  return {label, size: names.length, at: (at) => [names[at], value[names[at]]]};
}

/** Return `{label, size, at(index) -> [name, value]}` of what can be opened; null of the rest. */
function insideOf(value) {
  if (value instanceof NumberArray) return ofArray(value);
  if (Array.isArray(value)) return value.length ? ofList("list", value) : null;
  if (!isObject(value)) return null;
  const kind = kindOf(value);
  if (kind === "bytes" || scalarText(value) !== null) return null;
  if (kind === "ndarray") {
    const array = arrayOf(value);
    if (array) return ofArray(array);
  }
  if ((kind === "set" || kind === "frozenset") && Array.isArray(value.items)) return ofList(kind, value.items);
  if (kind === "dict" && Array.isArray(value.items)) {
    const items = value.items.filter(Array.isArray);
    return {label: `dict of ${count(items.length)}`, size: items.length, at: (at) => [summary(items[at][0], 80), items[at][1]]};
  }
  const names = Object.keys(value).filter((name) => kind === null || name !== "$type");
  return names.length ? ofObject(kind === null ? several(names.length, "field") : visible(kind), value, names) : null;
}
