// Who did what, and what was refused; for administrators.
import {api} from "../api.js";
import {Badge, Button, Field, ProblemNote, Table, Time, html} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";

const COLUMNS = [
  {label: "When", render: (row) => html`<${Time} at=${row.at} />`},
  {label: "Account", render: (row) => row.account},
  {label: "Action", class: "first", render: (row) => html`<span class="mono">${row.action}</span>`},
  {label: "Resource", class: "first", render: (row) => html`<span class="mono">${row.resource}</span>`},
  {label: "Outcome", render: (row) => html`<${Badge} tone=${row.outcome === "ok" ? "good" : "bad"}>${row.outcome}<//>`},
  {label: "Address", render: (row) => row.address ?? ""},
];

export function Audit() {
  const [wanted, setWanted] = useState({account: "", action: ""});
  const [state, setState] = useState({entries: [], next: null, problem: null, loading: true});
  const load = async (cursor, before, query = wanted) => {
    try {
      const page = await api("/v1/audit", {query: {...query, cursor, limit: 100}});
      setState({entries: [...before, ...page.entries], next: page.next_cursor, problem: null, loading: false});
    } catch (problem) {
      setState((now) => ({...now, problem, loading: false}));
    }
  };
  useEffect(() => { load(null, []); }, []);
  const find = (event) => {
    event.preventDefault();
    load(null, []);
  };
  const input = (name) => ({value: wanted[name], onInput: (event) => setWanted({...wanted, [name]: event.target.value})});
  return html`<div class="stack">
    <h2>Audit log</h2>
    <form class="filters" onSubmit=${find}><${Field} label="Account" type="search" ...${input("account")} />
      <${Field} label="Action" type="search" placeholder="POST /v1/jobs" ...${input("action")} /><${Button} type="submit">Find<//></form>
    <${ProblemNote} problem=${state.problem} />
    <${Table} caption="Audit log" rows=${state.entries} columns=${COLUMNS} loading=${state.loading} empty="Nothing was done that fits." />
    ${state.next && html`<p class="more"><${Button} onClick=${() => load(state.next, state.entries)}>Show more<//></p>`}
  </div>`;
}
