// The circuits that a job has sent to backends, as they end.
import {Badge, Button, Empty, Table, Time, html} from "../ui.js";
import {between, count, seconds} from "../lib/format.js";
import {useState} from "../lib/view.js";
import {visible} from "./ansi.js";
import {several, useTicker} from "./parts.js";

const FIRST = 100;

export function Circuits({job}) {
  useTicker(job.ticker);
  const [most, setMost] = useState(FIRST);
  const {circuits} = job;
  const newest = circuits.slice(-most).reverse();
  const columns = [
    {key: "id", label: "Circuit", render: (each) => html`<bdi>${each.id}${each.name && ` ${visible(each.name)}`}</bdi>`},
    {key: "status", label: "State", render: (each) => html`<${Badge} state=${each.status}>${each.status}<//>
      ${each.error && html`<div class="faint"><bdi>${visible(each.error)}</bdi></div>`}`},
    {key: "backend", label: "Backend", render: (each) => html`<bdi>${visible(each.backend)}</bdi>`},
    {key: "qubits", label: "Qubits", align: "number"},
    {key: "shots", label: "Shots", align: "number", render: (each) => count(each.shots)},
    {key: "took", label: "Took", align: "number", render: (each) => seconds(between(each.sent_at, each.ended_at))},
    {key: "ended", label: "Ended", render: (each) => html`<${Time} at=${each.ended_at} />`},
  ];
  return html`
    ${job.circuitCount > 0 && html`<p class="faint">${totals(circuits, job.circuitCount)}</p>`}
    <${Table} caption="Circuits" columns=${columns} rows=${newest} rowKey=${(each) => each.id}
      empty=${html`<${Empty} title=${job.ended ? "The job has sent no circuits." : "No circuit has ended yet."} />`} />
    ${circuits.length > newest.length && html`<p><${Button} onClick=${() => setMost(10 * most)}>Show more of ${count(circuits.length)}<//></p>`}`;
}

function totals(circuits, all) {
  const by = new Map();
  for (const {status} of circuits) by.set(status, (by.get(status) ?? 0) + 1);
  return `${several(all, "circuit")}: ${[...by].map(([status, some]) => `${count(some)} ${status}`).join(", ")}`;
}
