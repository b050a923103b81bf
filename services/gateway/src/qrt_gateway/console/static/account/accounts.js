// Everybody's accounts, for administrators.
import {Problem, api} from "../api.js";
import {Badge, Button, Confirm, Dialog, Field, ProblemNote, Table, Time, html, toast} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";
import {Issued, Tokens} from "./tokens.js";

const ROLES = {admin: "Administrator", user: "User", viewer: "Viewer"};

export function Accounts({who}) {
  const {accounts, next, problem, loading, read, more} = useAccounts();
  const [making, setMaking] = useState(false);
  const [issued, setIssued] = useState(null);
  const [disabling, setDisabling] = useState(null);
  const [tokens, setTokens] = useState(null);
  const change = async (row, body) => {
    await api(`/v1/accounts/${encodeURIComponent(row.name)}`, {method: "PATCH", body});
    toast(`${row.name} is changed`);
    await read();
  };
  const set = (row, body) => change(row, body).catch((error) => {
    toast(error.message, {kind: "bad"});
    read();
  });
  const made = (token) => {
    setIssued(token);
    read();
  };
  return html`<div class="stack">
    <div class="row spread"><h2>Accounts</h2><${Button} kind="primary" onClick=${() => setMaking(true)}>New account<//></div>
    ${issued && html`<${Issued} token=${issued} onSeen=${() => setIssued(null)} />`}
    <${ProblemNote} problem=${problem} onRetry=${read} />
    <${Table} caption="Accounts" rows=${accounts} rowKey=${(row) => row.name} loading=${loading} columns=${columns({set, setDisabling, setTokens})} />
    ${next && html`<p class="more"><${Button} onClick=${more}>Show more<//></p>`}
    <${NewAccount} open=${making} onClose=${() => setMaking(false)} onMade=${made} />
    <${Dialog} wide open=${tokens !== null} onClose=${() => setTokens(null)} title=${`Tokens of ${tokens}`}>
      ${tokens && html`<${Tokens} path=${`/v1/accounts/${encodeURIComponent(tokens)}/tokens`} who=${who} />`}<//>
    <${Confirm} open=${disabling !== null} onClose=${() => setDisabling(null)} title=${`Disable ${disabling?.name}?`} yes="Disable" onYes=${() => change(disabling, {disabled: true})}>
      <p>Its tokens are refused until the account is enabled again. Its jobs run on.</p><//>
  </div>`;
}

function columns({set, setDisabling, setTokens}) {
  return [
    {label: "Name", class: "first", render: (row) => html`<strong>${row.name}</strong>`},
    {label: "Role", render: (row) => html`<${Field} as="select" hideLabel class="narrow" label=${`Role of ${row.name}`} value=${row.role} onChange=${(event) => set(row, {role: event.target.value})}>
      ${Object.entries(ROLES).map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}<//>`},
    {label: "State", render: (row) => row.disabled ? html`<${Badge} tone="bad">Disabled<//>` : html`<${Badge} tone="good">Enabled<//>`},
    {label: "Groups", render: (row) => row.groups.join(", ") || html`<span class="faint">none</span>`},
    {label: "Made", render: (row) => html`<${Time} at=${row.created_at} />`},
    {label: "Change", hideLabel: true, class: "shrink", render: (row) => html`<span class="row">
      <${Button} aria-label=${`Tokens of ${row.name}`} onClick=${() => setTokens(row.name)}>Tokens<//>
      ${row.disabled ? html`<${Button} aria-label=${`Enable ${row.name}`} onClick=${() => set(row, {disabled: false})}>Enable<//>`
        : html`<${Button} kind="danger" aria-label=${`Disable ${row.name}`} onClick=${() => setDisabling(row)}>Disable<//>`}</span>`},
  ];
}

function NewAccount({open, onClose, onMade}) {
  const [fields, setFields] = useState({name: "", role: "user"});
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    if (!open) return;
    setFields({name: "", role: "user"});
    setProblem(null);
  }, [open]);
  const said = problem instanceof Problem ? problem.of("name") : "";
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      onMade(await api("/v1/accounts", {method: "POST", body: {name: fields.name.trim(), role: fields.role}}));
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<${Dialog} open=${open} onClose=${onClose} title="New account" actions=${html`<${Button} onClick=${onClose}>Cancel<//>
    <${Button} kind="primary" type="submit" form="new-account" busy=${busy}>Make it<//>`}>
    <form id="new-account" class="stack" onSubmit=${submit} noValidate>
      ${problem && !said && html`<${ProblemNote} problem=${problem} />`}
      <${Field} label="Name" required value=${fields.name} maxlength="64" error=${said} onInput=${(event) => setFields({...fields, name: event.target.value})} />
      <${Field} label="Role" as="select" value=${fields.role} onChange=${(event) => setFields({...fields, role: event.target.value})}>
        ${Object.entries(ROLES).map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}<//>
    </form><//>`;
}

function useAccounts() {
  const [state, setState] = useState({accounts: [], next: null, problem: null, loading: true});
  const load = async (cursor, before) => {
    try {
      const page = await api("/v1/accounts", {query: {limit: 200, cursor}});
      setState({accounts: [...before, ...page.accounts], next: page.next_cursor, problem: null, loading: false});
    } catch (problem) {
      setState((now) => ({...now, problem, loading: false}));
    }
  };
  useEffect(() => { load(null, []); }, []);
  return {...state, read: () => load(null, []), more: () => load(state.next, state.accounts)};
}
