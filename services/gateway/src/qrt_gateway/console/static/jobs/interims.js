// Interim results: as a chart where they are numbers, as a table always.
import {Dialog, html} from "../ui.js";
import {count} from "../lib/format.js";
import {useRef, useState} from "../lib/view.js";
import {Chart} from "./chart.js";
import {valueOf} from "./interim.js";
import {Choice, useTicker} from "./parts.js";
import {Tree} from "./tree.js";
import {isObject, kindOf, summary} from "./values.js";
import {Virtual} from "./virtual.js";

const ROW = 30; // pixels: also in jobs.css
const COLUMNS = 8;

export function Interims({job, running}) {
  const {interim} = job;
  useTicker(job.ticker);
  const [chosen, setChosen] = useState(null);
  const numbers = interim.columns.size > 0;
  const shape = chosen ?? (numbers ? "chart" : "table");
  return html`<section class="interims card" aria-labelledby="interims-head">
    <header class="bar"><h2 id="interims-head">Interim results</h2>
      <span class="faint" data-interim-count=${interim.count}>${count(interim.count)}</span><span class="gap"></span>
      ${numbers && html`<${Choice} label="Shape" value=${shape} onChoose=${setChosen}
        options=${[["chart", "Chart"], ["table", "Table"]]} />`}</header>
    ${shape === "chart" && numbers ? html`<${Chart} job=${job} />` : html`<${Rows} job=${job} running=${running} />`}
  </section>`;
}

function Rows({job, running}) {
  const {interim} = job;
  const [follow, setFollow] = useState(running);
  const [open, setOpen] = useState(null);
  const list = useRef(null);
  const names = columnsOf(interim.kept);
  const many = Math.max(names.length, 1);
  const style = {gridTemplateColumns: `4.5rem 7rem repeat(${many}, minmax(7rem, 1fr))`};
  const wide = {minWidth: `${13 + 7.75 * many}rem`};
  return html`
    ${interim.first > 0 && html`<p class="faint">The newest ${count(interim.kept.length)} are shown.</p>`}
    <div class="interim-table"><div role="table" style=${wide} aria-label="Interim results" aria-rowcount=${interim.kept.length + 1}>
      <div class="interim-row interim-head" role="row" style=${style}>
        ${["#", "Time", ...(names.length ? names : ["value"])].map((name) => html`<span role="columnheader"><bdi>${name}</bdi></span>`)}
      </div>
      <${Virtual} count=${interim.kept.length} rowHeight=${ROW} handle=${list} follow=${follow} role="rowgroup"
        aria-label="Interim results" onFollow=${(at) => setFollow(at && running)} class="virtual interim-rows"
        row=${(at) => html`<${Row} key=${interim.kept[at].index} result=${interim.kept[at]} place=${at} names=${names}
          style=${style} onOpen=${setOpen} />`} />
    </div></div>
    <${Dialog} open=${open !== null} onClose=${() => setOpen(null)} wide title=${`Interim result ${(open?.index ?? 0) + 1}`}>
      ${open && html`<${Tree} value=${valueOf(open)} />`}<//>`;
}

function Row({result, place, names, style, onOpen}) {
  const value = valueOf(result);
  const plain = isObject(value) && kindOf(value) === null;
  const cells = names.length
    ? names.map((name) => (plain ? (Object.hasOwn(value, name) ? summary(value[name], 120) : "") : name === names[0] ? summary(value, 300) : ""))
    : [summary(value, 300)];
  return html`<div class="interim-row" role="row" aria-rowindex=${place + 2} style=${style}>
    <span role="cell"><button type="button" class="link" onClick=${() => onOpen(result)}
      aria-label=${`Show interim result ${result.index + 1}`}>${result.index + 1}</button></span>
    <span role="cell" class="faint">${new Date(result.time).toLocaleTimeString()}</span>
    ${cells.map((text) => html`<span role="cell" title=${text}><bdi>${text}</bdi></span>`)}
  </div>`;
}

/** The names that the newest and the oldest results have, up to what a table holds. */
function columnsOf(kept) {
  const names = new Set();
  for (const each of [...kept.slice(0, 10), ...kept.slice(-10)]) {
    const value = valueOf(each);
    if (isObject(value) && kindOf(value) === null) for (const name of Object.keys(value).slice(0, COLUMNS)) names.add(name);
  }
  return [...names].slice(0, COLUMNS);
}
