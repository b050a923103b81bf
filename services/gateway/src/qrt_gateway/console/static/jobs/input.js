// What a job was given.
import {api, request} from "../api.js";
import {ProblemNote, Spinner, html} from "../ui.js";
import {useLoad} from "../lib/load.js";
import {Tree} from "./tree.js";
import {parsed} from "./values.js";

const BEGIN = ',"input":';

export function Input({id}) {
  const {value: text, problem, reload} = useLoad(({signal}) => inputText(id, {signal}), [id]);
  if (problem) return html`<${ProblemNote} problem=${problem} onRetry=${reload} />`;
  return text === null ? html`<${Spinner} label="Reading the input" />`
    : html`<${Tree} value=${parsed(text)} label="Input" />`;
}

/** Return a job's input as the JSON text that it is: no number is rounded on its way to another job. */
async function inputText(id, options) {
  const document = await (await request(`/v1/jobs/${id}/input`, options)).text();
  return document.slice(document.indexOf(BEGIN) + BEGIN.length, -1);
}

/** Run the same version of the same program with the same input again; returns the new job. */
export async function runAgain(view) {
  const {id, program, priority, tags, seed} = view;
  const rest = JSON.stringify({program_id: program.id, version: program.version, priority, tags, seed});
  const body = new Blob([rest.slice(0, -1), ',"input":', await inputText(id), "}"], {type: "application/json"});
  return api("/v1/jobs", {method: "POST", body});
}
