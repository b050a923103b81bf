// Run a program: a form made from the signature of its `run`, JSON where there is none.
import {Problem, api, request} from "../api.js";
import {navigate} from "../router.js";
import {Button, Field, ProblemNote, Spinner, html} from "../ui.js";
import {useState} from "../lib/view.js";
import {useLoad} from "../lib/load.js";
import {VersionChoice} from "./parts.js";
import {begun, checked, collected, fieldsOf, object, skeleton} from "./signature.js";

export function RunForm({program, number, onNumber, from}) {
  const path = `/v1/programs/${program.id}/versions/${number}/signature`;
  const {value, problem, reload} = useLoad(async ({signal}) => {
    const [signature, before] = await Promise.all([api(path, {signal}), inputOf(from, signal)]);
    return {signature, before};
  }, [path, from]);
  if (problem) return html`<${ProblemNote} problem=${problem} onRetry=${reload} />`;
  if (!value) return html`<${Spinner} label="Loading the signature" />`;
  return html`<${Form} program=${program} number=${number} onNumber=${onNumber} signature=${value.signature} before=${value.before} />`;
}

/** The input of an earlier job, as JSON text; null without one. */
async function inputOf(job, signal) {
  if (!job) return null;
  const whole = await (await request(`/v1/jobs/${encodeURIComponent(job)}/input`, {signal})).text();
  const given = JSON.parse(whole).input;
  const text = whole.slice(whole.indexOf('"input":') + '"input":'.length, -1).trim();
  // Laid out for people, unless that would round a number.
  return JSON.stringify(given) === text ? JSON.stringify(given, null, 2) : text;
}

function Form({program, number, onNumber, signature, before}) {
  const fields = signature.input ? fieldsOf(signature.input) : null;
  const [asJson, setAsJson] = useState(!fields || before !== null);
  const [values, setValues] = useState(() => begun(fields ?? []));
  const [text, setText] = useState(before ?? skeleton(signature.input));
  const [extra, setExtra] = useState({tags: "", priority: "", seed: "", secrets: []});
  const [errors, setErrors] = useState({});
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const input = asJson ? {text: checked(text).text, errors: checked(text).error ? {input: checked(text).error} : {}} : collected(fields, values);
    setErrors(input.errors);
    setProblem(null);
    if (Object.keys(input.errors).length) return;
    setBusy(true);
    try {
      const job = await api("/v1/jobs", {method: "POST", text: object([["program_id", JSON.stringify(program.id)], ["version", `${number}`], ["input", input.text], ...others(extra)])});
      navigate(`/console/jobs/${job.id}`);
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  const ofInput = problem instanceof Problem && problem.field === "input";
  const said = (field) => errors[field.path] ?? (!ofInput ? "" : field.fields ? problem.at(field.path) : problem.of(field.path));
  const other = (name) => (problem instanceof Problem && !ofInput ? problem.of(name) : "");
  const placed = ofInput ? !asJson && placedIn(fields, said) : ["tags", "priority", "seed", "secrets"].some(other);
  return html`<form class="run stack" onSubmit=${submit} noValidate>
    <div class="row spread"><${VersionChoice} program=${program} number=${number} onNumber=${onNumber} />
      ${fields && html`<${Button} onClick=${() => toggle({asJson, setAsJson, fields, values, setText, setErrors})}>${asJson ? "Use the form" : "Write JSON"}<//>`}</div>
    ${signature.summary && html`<p><strong>${signature.summary}</strong></p>`}
    ${signature.description && html`<p class="soft wrap preserved">${signature.description}</p>`}
    ${problem && !placed && html`<${ProblemNote} problem=${problem} />`}
    ${asJson ? html`<${Field} label="Input" name="input" as="textarea" class="code medium" spellcheck="false" value=${text} error=${errors.input ?? ""}
        hint=${program.kind === "quafu" ? "JSON: what the program gets as params." : "JSON: an object whose properties are the arguments of run()."}
        onInput=${(event) => setText(event.target.value)} />`
      : html`<fieldset class="inputs"><legend class="unseen">Input</legend>
        <${Arguments} fields=${fields} values=${values} said=${said} onValue=${(path, value) => setValues((now) => ({...now, [path]: value}))} /></fieldset>`}
    <${More} extra=${extra} change=${(more) => setExtra((now) => ({...now, ...more}))} said=${other} />
    <div><${Button} kind="primary" type="submit" busy=${busy}>Run<//></div>
  </form>`;
}

function toggle({asJson, setAsJson, fields, values, setText, setErrors}) {
  if (!asJson) {
    const found = collected(fields, values);
    if (found.text !== "{}" && !Object.keys(found.errors).length) setText(JSON.stringify(JSON.parse(found.text), null, 2));
  }
  setErrors({});
  setAsJson(!asJson);
}

/** Tell whether what is said of the fields is shown beside one of them. */
function placedIn(fields, said) {
  return fields.some((each) => said(each) || (each.fields && placedIn(each.fields, said)));
}

function Arguments({fields, values, said, onValue}) {
  return fields.map((each) => {
    if (!each.fields) return html`<${Argument} key=${each.path} field=${each} value=${values[each.path]} error=${said(each)} onValue=${(value) => onValue(each.path, value)} />`;
    return html`<fieldset class="card group" key=${each.path}><legend>${each.name}${each.required && html`<span class="needed" aria-hidden="true"> *</span>`}</legend>
      ${each.hint && html`<p class="hint">${each.hint}</p>`}
      ${said(each) && html`<p class="error" role="alert">${said(each)}</p>`}
      <div class="inputs"><${Arguments} fields=${each.fields} values=${values} said=${said} onValue=${onValue} /></div></fieldset>`;
  });
}

function Argument({field, value, error, onValue}) {
  const common = {label: field.name, name: `input/${field.path}`, hint: field.hint, error, required: field.required};
  const set = (event) => onValue(event.target.value);
  if (field.kind === "boolean" || field.kind === "choice") {
    const options = field.kind === "boolean" ? [["true", "true"], ["false", "false"]] : field.options.map((each, index) => [`${index}`, typeof each === "string" ? each : JSON.stringify(each)]);
    return html`<${Field} as="select" ...${common} value=${value ?? ""} onChange=${set}>
      <option value="">${field.placeholder ? `default: ${field.placeholder}` : field.required ? "choose" : "not given"}</option>
      ${options.map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}<//>`;
  }
  const placeholder = field.placeholder ? `default: ${field.placeholder}` : "";
  if (field.kind === "json") {
    return html`<${Field} as="textarea" class="code short" ...${common} placeholder=${placeholder || field.skeleton} value=${value ?? ""} spellcheck="false" onInput=${set} />`;
  }
  const types = {secret: {type: "password", autocomplete: "off"}, datetime: {type: "datetime-local", step: 1}, number: {inputmode: "decimal"}, text: {}};
  return html`<${Field} ...${common} ...${types[field.kind]} placeholder=${placeholder} value=${value ?? ""} onInput=${set} />`;
}

function More({extra, change, said}) {
  const secret = (at, more) => change({secrets: extra.secrets.map((each, index) => (index === at ? {...each, ...more} : each))});
  const opened = ["tags", "priority", "seed", "secrets"].some(said);
  return html`<details class="more-fields" open=${opened || undefined}><summary>Tags, secrets, priority, seed</summary><div class="stack">
    <div class="columns">
      <${Field} label="Tags" name="tags" value=${extra.tags} hint="Words to find the job by, with commas between." error=${said("tags")} onInput=${(event) => change({tags: event.target.value})} />
      <${Field} label="Priority" name="priority" inputmode="numeric" value=${extra.priority} placeholder="0" hint="-100 to 100; higher comes first." error=${said("priority")} onInput=${(event) => change({priority: event.target.value})} />
      <${Field} label="Seed" name="seed" inputmode="numeric" value=${extra.seed} hint="Fixes what the simulator samples." error=${said("seed")} onInput=${(event) => change({seed: event.target.value})} />
    </div>
    ${extra.secrets.map((each, at) => html`<div class="row secret" key=${at}>
      <${Field} label="Secret's name" value=${each.name} hint=${at === 0 ? "ibmToken is SECRET_IBM_TOKEN to the program." : ""} onInput=${(event) => secret(at, {name: event.target.value})} />
      <${Field} label="Secret" type="password" autocomplete="off" value=${each.value} onInput=${(event) => secret(at, {value: event.target.value})} />
      <${Button} kind="quiet" onClick=${() => change({secrets: extra.secrets.filter((_, index) => index !== at)})}>Remove<//></div>`)}
    ${said("secrets") && html`<p class="error" role="alert">${said("secrets")}</p>`}
    <div><${Button} onClick=${() => change({secrets: [...extra.secrets, {name: "", value: ""}]})}>Add a secret<//></div>
  </div></details>`;
}

/** The members of a submission besides program and input. */
function others({tags, priority, seed, secrets}) {
  const words = tags.split(",").map((each) => each.trim()).filter(Boolean);
  const named = secrets.filter((each) => each.name || each.value);
  return [
    ...(words.length ? [["tags", JSON.stringify(words)]] : []),
    ...[["priority", priority], ["seed", seed]].filter(([, given]) => given.trim()).map(([name, given]) => [name, /^-?\d+$/.test(given.trim()) ? given.trim() : JSON.stringify(given)]),
    ...(named.length ? [["secrets", JSON.stringify(Object.fromEntries(named.map((each) => [each.name, each.value])))]] : []),
  ];
}
