// Dialogs that send a program's content: a new program, or another version of one.
import {Problem, api} from "../api.js";
import {Button, Dialog, Field, ProblemNote, html} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";

const KINDS = {
  quafu: {label: "Quafu program", hint: "One Python file with run(task, userpub, params)."},
  template: {label: "Project", hint: "One Python file with a run() of its own arguments, or a zip, tar or tar.gz of a whole project."},
  container: {label: "Container", hint: "The name of an image, or an archive of a project with a Dockerfile."},
};
const EXAMPLE = `def run(task, userpub, params):
    """Say hello; interim results are published on the way."""
    for step in range(10):
        userpub.publish({"step": step, "value": step * step})
    return {"hello": params.get("name", "world")}
`;
const SENT = ["name", "kind", "source", "image", "archive", "description", "backend", "visibility"];
const MAX_TEXT = 4 << 20;

/** Upload a new program; `onMade(program)`. */
export function NewProgram({open, onClose, onMade}) {
  const [fields, setFields] = useState(null);
  useEffect(() => { if (open) setFields({name: "", kind: "quafu", source: EXAMPLE, image: "", file: null, description: "", backend: ""}); }, [open]);
  if (!fields) return html`<${Dialog} open=${false} onClose=${onClose} title="New program" />`;
  const change = (more) => setFields((before) => ({...before, ...more}));
  const send = () => api("/v1/programs", {method: "POST", body: created(fields)});
  return html`<${Sending} open=${open} onClose=${onClose} title="New program" yes="Upload" send=${send} onSent=${onMade} ready=${hasContent(fields)}>
    ${(problem) => html`
      <div class="columns">
        <${Field} label="Name" name="name" value=${fields.name} required=${!fields.file} maxlength="128" error=${said(problem, "name")}
          hint=${fields.file ? "Left empty, what the project's planqk.json says." : ""} onInput=${(event) => change({name: event.target.value})} />
        <${Field} label="Kind" name="kind" as="select" value=${fields.kind} error=${said(problem, "kind")} hint=${KINDS[fields.kind].hint}
          onChange=${(event) => change({kind: event.target.value, file: null})}>
          ${Object.entries(KINDS).map(([key, {label}]) => html`<option key=${key} value=${key}>${label}</option>`)}
        <//>
      </div>
      <${Content} fields=${fields} change=${change} problem=${problem} />
      <${Field} label="Description" name="description" as="textarea" class="short" value=${fields.description} maxlength="10000"
        error=${said(problem, "description")} onInput=${(event) => change({description: event.target.value})} />
      <${Field} label="Backend" name="backend" value=${fields.backend} error=${said(problem, "backend")}
        hint="Where circuits run unless the program says it; left empty, the simulator." onInput=${(event) => change({backend: event.target.value})} />`}
  <//>`;
}

/** Give a program another version; `onMade(program)`. */
export function NewVersion({program, source, open, onClose, onMade}) {
  const [fields, setFields] = useState(null);
  useEffect(() => { if (open) setFields({kind: program.kind, source: source ?? "", image: program.latest.image ?? "", file: null}); }, [open]);
  if (!fields) return html`<${Dialog} open=${false} onClose=${onClose} title="New version" />`;
  const change = (more) => setFields((before) => ({...before, ...more}));
  const send = () => api(`/v1/programs/${program.id}/versions`, {method: "POST", body: content(fields)});
  return html`<${Sending} open=${open} onClose=${onClose} title=${`New version of ${program.name}`} yes="Upload" send=${send} onSent=${onMade} ready=${hasContent(fields)}>
    ${(problem) => html`<${Content} fields=${fields} change=${change} problem=${problem} />`}
  <//>`;
}

/** A dialog with a form that is sent; problems without a field of their own stand above it. */
function Sending({open, onClose, title, yes, send, onSent, ready, children}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => { if (open) setProblem(null); }, [open]);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      const made = await send();
      onClose();
      onSent(made);
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const placed = problem instanceof Problem && SENT.some((name) => said(problem, name));
  return html`<${Dialog} open=${open} onClose=${onClose} title=${title} wide
    actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" form="sending" busy=${busy} disabled=${!ready}>${yes}<//>`}>
    <form id="sending" class="stack" onSubmit=${submit}>${problem && !placed && html`<${ProblemNote} problem=${problem} />`}${children(problem)}</form>
  <//>`;
}

function Content({fields, change, problem}) {
  const take = async (event) => {
    const file = event.target.files[0] ?? null;
    const text = file && /\.py$/i.test(file.name) && file.size <= MAX_TEXT;
    if (text) change({source: await file.text(), file: null, ...(fields.name === "" ? {name: file.name.replace(/\.py$/i, "")} : {})});
    else change({file});
  };
  const archives = fields.kind !== "quafu";
  const accept = [fields.kind === "container" ? "" : ".py", archives ? ".zip,.tar,.tar.gz,.tgz" : ""].filter(Boolean).join(",");
  const error = said(problem, "source") || said(problem, "archive");
  return html`
    <${Field} label=${archives ? "File or archive" : "File"} type="file" accept=${accept} onChange=${take} error=${said(problem, "archive")}
      hint=${fields.kind === "container" ? "A project with a Dockerfile." : "Or write the source below."} />
    ${!fields.file && fields.kind === "container" && html`<${Field} label="Image" name="image" value=${fields.image} error=${said(problem, "image")}
      hint="Such as registry.example/team/name:tag" onInput=${(event) => change({image: event.target.value})} />`}
    ${!fields.file && fields.kind !== "container" && html`<${Field} label="Source" name="source" as="textarea" class="code tall" value=${fields.source}
      error=${error} spellcheck="false" onInput=${(event) => change({source: event.target.value})} />`}`;
}

/** What the server says is wrong with a field; a program that is refused is its source's fault. */
function said(problem, name) {
  return problem instanceof Problem ? problem.of(name) : "";
}

function hasContent(fields) {
  return Boolean(fields.file || (fields.kind === "container" ? fields.image.trim() : fields.source.trim()));
}

function created(fields) {
  const about = {name: fields.name.trim(), kind: fields.kind, description: fields.description.trim(), backend: fields.backend.trim()};
  const given = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== ""));
  return content(fields, given);
}

function content(fields, given = {}) {
  if (fields.file) {
    const form = new FormData();
    for (const [name, value] of Object.entries(given)) form.append(name, value);
    form.append("archive", fields.file, fields.file.name);
    return form;
  }
  return fields.kind === "container" ? {...given, image: fields.image.trim()} : {...given, source: fields.source};
}
