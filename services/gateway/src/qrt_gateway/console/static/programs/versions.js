// All uploads of a program.
import {api} from "../api.js";
import {Badge, Button, Copy, ProblemNote, Table, Time, html} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";
import {bytes, short} from "../lib/format.js";

export function Versions({program, onShow}) {
  const [state, setState] = useState({versions: [], next: null, problem: null, loading: true});
  const read = async (cursor, before) => {
    try {
      const page = await api(`/v1/programs/${program.id}/versions`, {query: {limit: 50, cursor}});
      setState({versions: [...before, ...page.versions], next: page.next_cursor, problem: null, loading: false});
    } catch (problem) {
      setState((now) => ({...now, problem, loading: false}));
    }
  };
  useEffect(() => { read(null, []); }, [program.id, program.latest.number, program.latest.build.state]);
  const columns = [
    {label: "Version", render: (row) => html`<strong class="number">${row.number}</strong>`},
    {label: "Uploaded", render: (row) => html`<${Time} at=${row.created_at} />`},
    {label: "Build", render: (row) => html`<${Badge} state=${row.build.state} />
      ${row.build.problem && html`<p class="small error">${row.build.problem.detail ?? row.build.problem.title}</p>`}`},
    {label: "Size", render: (row) => row.image ? html`<span class="mono">${row.image}</span>` : bytes(row.bundle.size)},
    {label: "sha256", render: (row) => html`<span class="mono">${short(row.bundle.sha256)}</span> <${Copy} text=${row.bundle.sha256} />`},
    {label: "Look", hideLabel: true, class: "shrink", render: (row) => html`<span class="row">
      <${Button} kind="quiet" aria-label=${`Run version ${row.number}`} onClick=${() => onShow(null, row.number)}>Run<//>
      ${!row.image && html`<${Button} kind="quiet" aria-label=${`Source of version ${row.number}`} onClick=${() => onShow("source", row.number)}>Source<//>`}
      <${Button} kind="quiet" aria-label=${`Build log of version ${row.number}`} onClick=${() => onShow("build", row.number)}>Log<//></span>`},
  ];
  return html`<${ProblemNote} problem=${state.problem} />
    <${Table} caption="Versions" rows=${state.versions} rowKey=${(row) => row.number} columns=${columns} loading=${state.loading} />
    ${state.next && html`<p class="more"><${Button} onClick=${() => read(state.next, state.versions)}>Show more<//></p>`}`;
}
