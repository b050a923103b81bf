// The tokens of one account. A token's text is shown once, when it is made.
import {Problem, api} from "../api.js";
import {Badge, Button, Confirm, Copy, Dialog, Field, ProblemNote, Table, Time, html, toast} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";
import {useLoad} from "../lib/load.js";

const SCOPES = {read: "Read", run: "Submit, cancel and delete jobs", write: "Programs, versions, credentials, clients", admin: "Administer"};

/** `path` is where they are listed and made; `who` may make them. */
export function Tokens({path, who}) {
  const {value, problem, loading, reload} = useLoad(({signal}) => api(path, {signal}), [path]);
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState(null);
  const [issued, setIssued] = useState(null);
  const made = (token) => {
    setIssued(token);
    reload();
  };
  const end = async () => {
    await api(`${path}/${ending.id}`, {method: "DELETE"});
    toast(`${ending.name} is revoked`);
    reload();
  };
  return html`<div class="stack">
    <div class="row spread"><h2>Tokens</h2><${Button} kind="primary" onClick=${() => setMaking(true)}>New token<//></div>
    ${issued && html`<${Issued} token=${issued} onSeen=${() => setIssued(null)} />`}
    <${ProblemNote} problem=${problem} onRetry=${reload} />
    <${Table} caption="Tokens" rows=${value?.tokens} loading=${loading} columns=${columns(who, setEnding)} />
    <${NewToken} path=${path} scopes=${who.scopes} open=${making} onClose=${() => setMaking(false)} onMade=${made} />
    <${Confirm} open=${ending !== null} onClose=${() => setEnding(null)} title=${`Revoke ${ending?.name}?`} yes="Revoke" onYes=${end}>
      <p>Whoever uses this token is refused from now on${ending?.id === who.token?.id ? ", and this session ends with it" : ""}.</p><//>
  </div>`;
}

/** A new token, this once. */
export function Issued({token, onSeen}) {
  return html`<div class="note good" role="status"><p><strong>${token.account ? `A token for ${token.account}` : "The new token"}</strong>: keep it now, it is not shown again.</p>
    <div class="issued"><code>${token.token}</code><${Copy} text=${token.token} /></div>
    <p><${Button} onClick=${onSeen}>I have kept it<//></p></div>`;
}

function columns(who, onEnd) {
  return [
    {label: "Name", class: "first", render: (row) => html`<strong>${row.name}</strong> ${row.id === who.token?.id && html`<span class="chip">this session's</span>`}`},
    {label: "State", render: (row) => html`<${State} token=${row} />`},
    {label: "Scopes", render: (row) => row.scopes ? row.scopes.map((each) => html`<span class="chip" key=${each}>${each}</span> `) : html`<span class="faint">all of the account</span>`},
    {label: "Requests", render: (row) => row.requests_per_second ? `${row.requests_per_second} a second` : html`<span class="faint">as all</span>`},
    {label: "Made", render: (row) => html`<${Time} at=${row.created_at} />`},
    {label: "Last used", render: (row) => html`<${Time} at=${row.last_used_at} none="never" />`},
    {label: "Expires", render: (row) => html`<${Time} at=${row.expires_at} none="never" />`},
    {label: "Change", hideLabel: true, class: "shrink", render: (row) => !row.revoked_at && html`<${Button} kind="danger" aria-label=${`Revoke ${row.name}`} onClick=${() => onEnd(row)}>Revoke<//>`},
  ];
}

function State({token}) {
  if (token.revoked_at) return html`<${Badge} tone="off">Revoked<//>`;
  if (token.expires_at && Date.parse(token.expires_at) <= Date.now()) return html`<${Badge} tone="off">Expired<//>`;
  return html`<${Badge} tone="good">Valid<//>`;
}

function NewToken({path, scopes, open, onClose, onMade}) {
  const [fields, setFields] = useState({});
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    if (!open) return;
    setFields({name: "", scopes: [...scopes], expires: "", rate: ""});
    setProblem(null);
  }, [open]);
  const change = (more) => setFields((now) => ({...now, ...more}));
  const said = (name) => (problem instanceof Problem ? problem.of(name) : "");
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const all = scopes.every((each) => fields.scopes.includes(each));
    const body = {
      ...(fields.name.trim() ? {name: fields.name.trim()} : {}),
      ...(all ? {} : {scopes: fields.scopes}),
      ...(fields.expires ? {expires_at: new Date(fields.expires).toISOString()} : {}),
      ...(fields.rate.trim() ? {requests_per_second: Number(fields.rate) || fields.rate} : {}),
    };
    try {
      onMade(await api(path, {method: "POST", body}));
      onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const placed = ["name", "scopes", "expires_at", "requests_per_second"].some(said);
  return html`<${Dialog} open=${open} onClose=${onClose} title="New token" actions=${html`<${Button} onClick=${onClose}>Cancel<//>
    <${Button} kind="primary" type="submit" form="new-token" busy=${busy}>Make it<//>`}>
    <form id="new-token" class="stack" onSubmit=${submit} noValidate>
      ${problem && !placed && html`<${ProblemNote} problem=${problem} />`}
      <${Field} label="Name" value=${fields.name} maxlength="128" hint="What it is for." error=${said("name")} onInput=${(event) => change({name: event.target.value})} />
      <fieldset class="card"><legend>What it may do</legend>
        ${scopes.map((name) => html`<${Field} as="checkbox" key=${name} label=${`${name}: ${SCOPES[name] ?? ""}`} checked=${fields.scopes?.includes(name)}
          onChange=${(event) => change({scopes: scopes.filter((each) => (each === name ? event.target.checked : fields.scopes.includes(each)))})} />`)}
        ${said("scopes") && html`<p class="error" role="alert">${said("scopes")}</p>`}</fieldset>
      <${Field} label="Expires" type="datetime-local" value=${fields.expires} hint="Left empty, never." error=${said("expires_at")} onInput=${(event) => change({expires: event.target.value})} />
      <${Field} label="Requests a second" inputmode="decimal" value=${fields.rate} hint="Left empty, what the operator allows all." error=${said("requests_per_second")} onInput=${(event) => change({rate: event.target.value})} />
    </form><//>`;
}
