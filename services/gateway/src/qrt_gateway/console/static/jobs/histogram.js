// Counts or probabilities of measured bitstrings as bars.
import {html, useState} from "../lib/view.js";
import {count} from "../lib/format.js";
import {visible} from "./ansi.js";
import {shownNumber} from "./chart.js";
import {Choice, several} from "./parts.js";

const FIRST = 32;
const MOST = 1024;

/** `pairs`: `[bitstring, number]`. */
export function Histogram({name, pairs}) {
  const [order, setOrder] = useState("state");
  const [all, setAll] = useState(false);
  const total = pairs.reduce((sum, [, value]) => sum + value, 0);
  const most = pairs.reduce((high, [, value]) => Math.max(high, value), 0) || 1;
  // Of many states, those seen the most are the ones to show.
  const highest = [...pairs].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, all ? MOST : FIRST);
  const shown = order === "state" ? highest.sort((a, b) => (a[0] < b[0] ? -1 : 1)) : highest;
  const counts = pairs.every(([, value]) => Number.isInteger(value)) && total > 1;
  return html`<figure class="histogram">
    <figcaption class="bar"><strong><bdi>${visible(name)}</bdi></strong>
      <span class="faint">${several(pairs.length, "state")}${counts ? `, ${count(total)} shots` : ""}</span><span class="gap"></span>
      <${Choice} label="Order" value=${order} onChoose=${setOrder} options=${[["state", "By state"], ["size", "By size"]]} /></figcaption>
    <table class="bars"><thead class="unseen"><tr><th scope="col">State</th><th scope="col">Share</th><th scope="col">Value</th></tr></thead>
      <tbody>${shown.map(([state, value]) => html`<tr key=${state}>
        <th scope="row">${state}</th>
        <td class="bar-cell"><span class="bar-fill" style=${{width: `${(100 * value) / most}%`}}></span></td>
        <td class="bar-value">${counts ? count(value) : shownNumber(value)}
          ${counts && html`<span class="faint"> ${shownNumber(Math.round((1000 * value) / total) / 10)} %</span>`}</td></tr>`)}</tbody></table>
    ${pairs.length > shown.length && html`<p class="faint">The ${count(shown.length)} largest of ${count(pairs.length)}.
      ${!all && html` <button type="button" class="link" onClick=${() => setAll(true)}>Show ${count(Math.min(pairs.length, MOST))}</button>`}</p>`}
  </figure>`;
}
