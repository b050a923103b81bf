// Groups of accounts, to share programs and jobs with; for administrators.
import {Problem, api} from "../api.js";
import {Button, Confirm, Field, ProblemNote, Table, Time, html, toast} from "../ui.js";
import {useState} from "../lib/view.js";
import {useLoad} from "../lib/load.js";

export function Groups() {
  const {value, problem, loading, reload} = useLoad(({signal}) => api("/v1/groups", {signal}));
  const [name, setName] = useState("");
  const [refused, setRefused] = useState(null);
  const [deleting, setDeleting] = useState(null);
  const act = async (path, method, body) => {
    await api(path, {method, body});
    await reload();
  };
  const make = async (event) => {
    event.preventDefault();
    setRefused(null);
    try {
      await act("/v1/groups", "POST", {name: name.trim()});
      setName("");
    } catch (error) {
      setRefused(error);
    }
  };
  const said = refused instanceof Problem ? refused.of("name") : "";
  return html`<div class="stack">
    <h2>Groups</h2>
    <form class="filters" onSubmit=${make} noValidate>
      <${Field} label="New group" value=${name} maxlength="64" error=${said} onInput=${(event) => setName(event.target.value)} />
      <${Button} kind="primary" type="submit" disabled=${!name.trim()}>Make it<//></form>
    ${refused && !said && html`<${ProblemNote} problem=${refused} />`}
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    <${Table} caption="Groups" rows=${value?.groups} rowKey=${(row) => row.name} loading=${loading} columns=${columns(act, setDeleting)} empty="There are no groups yet." />
    <${Confirm} open=${deleting !== null} onClose=${() => setDeleting(null)} title=${`Delete the group ${deleting?.name}?`} onYes=${() => act(pathOf(deleting), "DELETE")}>
      <p>Its members no longer see what is shared with it alone.</p><//>
  </div>`;
}

function columns(act, onDelete) {
  return [
    {label: "Name", class: "first", render: (row) => html`<strong>${row.name}</strong>`},
    {label: "Members", render: (row) => html`<${Members} group=${row} act=${act} />`},
    {label: "Made", render: (row) => html`<${Time} at=${row.created_at} />`},
    {label: "Change", hideLabel: true, class: "shrink", render: (row) => html`<${Button} kind="danger" aria-label=${`Delete ${row.name}`} onClick=${() => onDelete(row)}>Delete<//>`},
  ];
}

function Members({group, act}) {
  const [name, setName] = useState("");
  const member = (account, method) => act(`${pathOf(group)}/members/${encodeURIComponent(account)}`, method)
    .then(() => setName(""), (error) => toast(error.message, {kind: "bad"}));
  const add = (event) => {
    event.preventDefault();
    member(name.trim(), "PUT");
  };
  return html`<div class="row">
    ${group.members.map((each) => html`<span class="chip" key=${each}>${each} <button type="button" class="take" aria-label=${`Take ${each} out of ${group.name}`} onClick=${() => member(each, "DELETE")}>✕</button></span>`)}
    <form class="row" onSubmit=${add}><${Field} hideLabel class="narrow" label=${`Add an account to ${group.name}`} placeholder="account" value=${name} onInput=${(event) => setName(event.target.value)} />
      <${Button} type="submit" disabled=${!name.trim()} aria-label=${`Add to ${group.name}`}>Add<//></form></div>`;
}

function pathOf(group) {
  return `/v1/groups/${encodeURIComponent(group.name)}`;
}
