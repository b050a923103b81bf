// Where jobs and circuits run, as the executors say it, read again every few seconds.
import {account, api, may} from "./api.js";
import {Badge, Button, Confirm, Empty, PageHead, ProblemNote, Table, html, toast} from "./ui.js";
import {useState} from "./lib/view.js";
import {useLoad} from "./lib/load.js";
import {useStore} from "./lib/store.js";
import {bytes, count} from "./lib/format.js";

const SECONDS = 3;

export default function Executors() {
  const who = useStore(account);
  const {value, problem, loading, reload} = useLoad(({signal}) => read(who, signal), [who?.name], {seconds: SECONDS});
  const [draining, setDraining] = useState(null);
  const drain = async (row, to) => {
    await api(`/v1/executors/${encodeURIComponent(row.name)}/${to}`, {method: "POST"});
    toast(to === "drain" ? `${row.name} takes no new work` : `${row.name} takes work again`);
    reload();
  };
  return html`<${PageHead} title="Executors" beside=${value && html`<${Summary} value=${value} />`} />
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    <div class="stack">
      ${may(who, "admin") && html`<section aria-labelledby="executors"><h2 id="executors">Executors</h2>
        <${Table} caption="Executors" rows=${value?.executors} rowKey=${(row) => row.name} loading=${loading} columns=${columns(setDraining, drain)}
          empty="No executor is alive. Jobs wait until one is." /></section>`}
      <section aria-labelledby="backends"><h2 id="backends">Backends</h2>
        <${Table} caption="Backends" rows=${value?.backends} rowKey=${(row) => row.name} loading=${loading} columns=${BACKENDS}
          empty=${html`<${Empty} title="No executor serves a backend." />`} /></section>
    </div>
    <${Confirm} open=${draining !== null} onClose=${() => setDraining(null)} title=${`Drain ${draining?.name}?`} yes="Drain" onYes=${() => drain(draining, "drain")}>
      <p>It ends what it runs and takes no new work until it is told to.</p><//>`;
}

async function read(who, signal) {
  const [{backends}, found] = await Promise.all([
    api("/v1/backends", {signal}), may(who, "admin") ? api("/v1/executors", {signal}) : null,
  ]);
  return {backends, executors: found?.executors ?? []};
}

function Summary({value}) {
  const [running, slots] = ["running", "slots"].map((name) => value.executors.reduce((sum, each) => sum + each[name], 0));
  if (!value.executors.length) return null;
  return html`<span class="faint">${count(running)} running in ${count(slots)} ${slots === 1 ? "slot" : "slots"}</span>`;
}

function columns(onDrain, drain) {
  return [
    {label: "Name", class: "first", render: (row) => html`<strong>${row.name}</strong>`},
    {label: "State", render: (row) => row.draining ? html`<${Badge} tone="wait">Draining<//>` : row.slots ? html`<${Badge} tone="good">Ready<//>` : html`<${Badge} tone="bad">Refuses work<//>`},
    {label: "Running", render: (row) => html`<${Load} running=${row.running} slots=${row.slots} />`},
    {label: "Isolation", render: (row) => html`<span class="chip">${row.isolation}</span>`},
    {label: "Kinds", render: (row) => row.kinds.join(", ")},
    {label: "Backends", render: (row) => row.backends.join(", ") || "—"},
    {label: "Machine", render: (row) => machine(row)},
    {label: "Warm", render: (row) => html`<span class="number" title="Environments of programs that are ready to start">${row.warm_environments}</span>`},
    {label: "Change", hideLabel: true, class: "shrink", render: (row) => row.draining
      ? html`<${Button} aria-label=${`Undrain ${row.name}`} onClick=${() => drain(row, "undrain").catch(told)}>Undrain<//>`
      : html`<${Button} aria-label=${`Drain ${row.name}`} onClick=${() => onDrain(row)}>Drain<//>`},
  ];
}

const BACKENDS = [
  {label: "Name", class: "first", render: (row) => html`<strong>${row.name}</strong> ${row.simulated && html`<span class="chip">simulated</span>`}`},
  {label: "State", render: (row) => html`<${Badge} state=${row.status} />`},
  {label: "Qubits", render: (row) => html`<span class="number">${count(row.qubits)}</span>`},
  {label: "Circuits waiting", render: (row) => html`<span class="number">${count(row.queue)}</span>`},
  {label: "Executors", render: (row) => html`<span class="number">${count(row.executors)}</span>`},
  {label: "Gates", render: (row) => html`<span class="small soft">${row.gates.join(" ") || "any in OpenQASM"}</span>`},
];

function Load({running, slots}) {
  return html`<span class="load"><meter min="0" max=${Math.max(1, slots)} value=${running} aria-label="Slots in use"></meter><span class="number">${running} of ${slots}</span></span>`;
}

function machine(row) {
  const said = [row.cpus && `${row.cpus} ${row.cpus === 1 ? "core" : "cores"}`, row.memory_bytes && bytes(row.memory_bytes), row.gpus && `${row.gpus} GPU ${row.gpu_type ?? ""}`];
  return said.filter(Boolean).join(", ") || "—";
}

function told(error) {
  toast(error.message, {kind: "bad"});
}
