// All programs that may be run.
import {account, api, may} from "../api.js";
import {navigate, setQuery} from "../router.js";
import {Badge, Button, Empty, Field, PageHead, ProblemNote, Table, Time, html} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";
import {useStore} from "../lib/store.js";
import {NewProgram} from "./upload.js";

const PAGE = 100;
const KINDS = {quafu: "Quafu", template: "Project", container: "Container"};
const SCOPES = {own: "Mine", visible: "Mine and shared with me", all: "Everybody's"};

export default function Programs({query}) {
  const who = useStore(account);
  const [creating, setCreating] = useState(false);
  const [wanted, setWanted] = useState("");
  const scope = query.scope in SCOPES ? query.scope : "own";
  const {programs, next, total, problem, loading, more} = usePrograms(scope);
  const shown = programs.filter((each) => each.name.toLowerCase().includes(wanted.toLowerCase()));
  const writes = may(who, "write");
  return html`
    <${PageHead} title="Programs" actions=${writes && html`<${Button} kind="primary" onClick=${() => setCreating(true)}>New program<//>`} />
    <div class="filters">
      <${Field} label="Find" type="search" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />
      <${Field} label="Whose" as="select" value=${scope} onChange=${(event) => setQuery({scope: event.target.value === "own" ? null : event.target.value})}>
        ${Object.entries(SCOPES).filter(([key]) => key !== "all" || may(who, "admin")).map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}
      <//>
      <p class="faint filters-count" aria-live="polite">${loading ? "" : wanted ? `${shown.length} of ${total}` : `${total} in all`}</p>
    </div>
    <${ProblemNote} problem=${problem} onRetry=${() => more(true)} />
    ${!problem && html`<${Table} caption="Programs" rows=${shown} loading=${loading} columns=${columns(who)}
      empty=${html`<${Nothing} filtered=${wanted !== ""} writes=${writes} onCreate=${() => setCreating(true)} />`} />`}
    ${next && html`<p class="more"><${Button} busy=${loading} onClick=${() => more(false)}>Show more<//></p>`}
    <${NewProgram} open=${creating} onClose=${() => setCreating(false)} onMade=${(made) => navigate(`/console/programs/${made.id}`)} />`;
}

function columns(who) {
  return [
    {label: "Name", class: "first", render: (row) => html`<a class="strong" href=${`/console/programs/${row.id}`}>${row.name}</a>
      ${row.description && html`<p class="small faint clip">${row.description}</p>`}`},
    {label: "Kind", render: (row) => KINDS[row.kind] ?? row.kind},
    {label: "Version", render: (row) => html`<span class="number">${row.latest.number}</span>`},
    {label: "Build", render: (row) => html`<${Badge} state=${row.latest.build.state} />`},
    {label: "Visibility", render: (row) => html`<span class="chip">${row.visibility}</span>`},
    {label: "Owner", render: (row) => row.owner === who?.name ? html`<span class="faint">you</span>` : row.owner},
    {label: "Changed", render: (row) => html`<${Time} at=${row.updated_at} />`},
  ];
}

function Nothing({filtered, writes, onCreate}) {
  if (filtered) return html`<${Empty} title="No program has such a name." />`;
  return html`<${Empty} title="There are no programs yet.">
    ${writes && html`<p>Upload a Python file with a <code>run</code> function, a project, or name a container image.</p>
    <p><${Button} onClick=${onCreate}>Begin with an example<//></p>`}<//>`;
}

function usePrograms(scope) {
  const start = {programs: [], next: null, total: 0, problem: null, loading: true};
  const [state, setState] = useState(start);
  const read = async (cursor, before, signal) => {
    setState({...before, loading: true, problem: null});
    try {
      const page = await api("/v1/programs", {query: {scope: scope === "own" ? null : scope, limit: PAGE, cursor}, signal});
      const programs = [...before.programs, ...page.programs];
      setState({programs, next: page.next_cursor, total: page.total ?? programs.length, problem: null, loading: false});
    } catch (problem) {
      if (!signal?.aborted) setState({...before, problem, loading: false});
    }
  };
  useEffect(() => {
    const controller = new AbortController();
    read(null, start, controller.signal);
    return () => controller.abort();
  }, [scope]);
  return {...state, more: (anew) => (anew ? read(null, start) : read(state.next, state))};
}
