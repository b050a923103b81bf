// What describes a program, and what its jobs may use.
import {Problem, api, may} from "../api.js";
import {Button, Field, ProblemNote, html, toast} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";

const MIB = 1 << 20;
const LIMITS = [
  {name: "wall_seconds", label: "Time", unit: "s"}, {name: "cpu_seconds", label: "Processor time", unit: "s"},
  {name: "memory_bytes", label: "Memory", unit: "MiB", scale: MIB}, {name: "disk_bytes", label: "Disk", unit: "MiB", scale: MIB},
  {name: "file_bytes", label: "Largest file", unit: "MiB", scale: MIB}, {name: "log_bytes", label: "Log kept", unit: "MiB", scale: MIB},
  {name: "interim_bytes", label: "Interim results", unit: "MiB", scale: MIB}, {name: "interim_count", label: "Interim results", unit: "values"},
  {name: "message_bytes", label: "One interim result", unit: "MiB", scale: MIB}, {name: "result_bytes", label: "Result", unit: "MiB", scale: MIB},
  {name: "processes", label: "Processes", unit: ""}, {name: "open_files", label: "Open files", unit: ""},
];
const VISIBILITIES = {private: "Private: you alone", group: "Groups: members of some groups", public: "Public: everybody here"};
const FIELDS = ["name", "visibility", "groups", "description", "backend", "max_attempts", "limits", "quota"];

export function Settings({program, who, onChanged}) {
  const [fields, setFields] = useState(() => shown(program));
  const [groups, setGroups] = useState(who.groups);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => { if (may(who, "admin")) api("/v1/groups").then((found) => setGroups(found.groups.map((each) => each.name)), () => {}); }, []);
  const change = (more) => setFields((now) => ({...now, ...more}));
  const input = (name) => ({name, value: fields[name], error: said(problem, name), onInput: (event) => change({[name]: event.target.value})});
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const changed = await api(`/v1/programs/${program.id}`, {method: "PATCH", body: changes(program, fields)});
      onChanged(changed);
      setFields(shown(changed));
      toast("Saved");
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const placed = problem instanceof Problem && FIELDS.some((name) => said(problem, name));
  return html`<form class="stack settings" onSubmit=${submit} noValidate>
    ${problem && !placed && html`<${ProblemNote} problem=${problem} />`}
    <div class="columns"><${Field} label="Name" ...${input("name")} maxlength="128" />
      <${Field} label="Backend" ...${input("backend")} hint="Where circuits run unless the program says it." /></div>
    <${Field} label="Description" as="textarea" class="short" ...${input("description")} />
    <div class="columns">
      <${Field} label="Visibility" as="select" name="visibility" value=${fields.visibility} error=${said(problem, "visibility")} onChange=${(event) => change({visibility: event.target.value})}>
        ${Object.entries(VISIBILITIES).map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}<//>
      <${Field} label="Attempts" inputmode="numeric" ...${input("max_attempts")} hint="How often a job is tried when its executor is lost; 1 to 20." />
    </div>
    ${fields.visibility === "group" && html`<fieldset class="card"><legend>Groups</legend>
      ${[...new Set([...groups, ...fields.groups])].map((name) => html`<${Field} as="checkbox" key=${name} label=${name} checked=${fields.groups.includes(name)}
        onChange=${(event) => change({groups: event.target.checked ? [...fields.groups, name] : fields.groups.filter((each) => each !== name)})} />`)}
      ${!groups.length && html`<p class="hint">You are in no group. An administrator makes groups.</p>`}
      ${said(problem, "groups") && html`<p class="error" role="alert">${said(problem, "groups")}</p>`}</fieldset>`}
    <fieldset class="card"><legend>Limits of one attempt</legend>
      <p class="hint">Left empty, the runtime's own. The operator's ceiling counts in any case.</p>
      <div class="limits">${LIMITS.map(({name, label, unit}) => html`<${Field} key=${name} label=${unit ? `${label} (${unit})` : label} inputmode="decimal"
        name=${`limits.${name}`} value=${fields.limits[name]} error=${said(problem, `limits/${name}`)} onInput=${(event) => change({limits: {...fields.limits, [name]: event.target.value}})} />`)}</div>
    </fieldset>
    <fieldset class="card"><legend>Jobs at once</legend><div class="limits">
      ${[["running", "Running"], ["queued", "Queued"]].map(([name, label]) => html`<${Field} key=${name} label=${label} inputmode="numeric" name=${`quota.${name}`}
        value=${fields.quota[name]} error=${said(problem, `quota/${name}`)} onInput=${(event) => change({quota: {...fields.quota, [name]: event.target.value}})} />`)}</div></fieldset>
    <div><${Button} kind="primary" type="submit" busy=${busy}>Save<//></div>
  </form>`;
}

function shown(program) {
  const limits = LIMITS.map(({name, scale = 1}) => [name, program.limits[name] === null || program.limits[name] === undefined ? "" : `${program.limits[name] / scale}`]);
  return {
    name: program.name, description: program.description ?? "", backend: program.backend ?? "", visibility: program.visibility, groups: program.groups ?? [],
    max_attempts: `${program.max_attempts}`, limits: Object.fromEntries(limits), quota: {running: `${program.quota.running ?? ""}`, queued: `${program.quota.queued ?? ""}`},
  };
}

/** The body of a PATCH: what differs from the program as it is. */
function changes(program, fields) {
  const now = shown(program);
  const body = {};
  for (const name of ["name", "description", "backend", "visibility"]) if (fields[name] !== now[name]) body[name] = fields[name];
  if (fields.max_attempts !== now.max_attempts) body.max_attempts = number(fields.max_attempts);
  if (fields.groups.join() !== now.groups.join()) body.groups = fields.groups;
  if (LIMITS.some(({name}) => fields.limits[name] !== now.limits[name])) {
    body.limits = Object.fromEntries(LIMITS.map(({name, scale = 1}) => [name, scaled(fields.limits[name], scale)]));
  }
  if (fields.quota.running !== now.quota.running || fields.quota.queued !== now.quota.queued) {
    body.quota = {running: number(fields.quota.running), queued: number(fields.quota.queued)};
  }
  return body;
}

function number(text) {
  const said = text.trim();
  return said === "" ? null : Number.isFinite(Number(said)) ? Number(said) : said;
}

function scaled(text, scale) {
  const found = number(text);
  if (typeof found !== "number") return found;
  return scale === 1 ? found : Math.round(found * scale);
}

function said(problem, name) {
  return problem instanceof Problem ? problem.of(name) : "";
}
