// What a version was made of: its one file, or the files of its project.
import {request} from "../api.js";
import {Copy, Empty, ProblemNote, Spinner, html} from "../ui.js";
import {useEffect, useState} from "../lib/view.js";
import {useLoad} from "../lib/load.js";
import {bytes} from "../lib/format.js";
import {contentOf, entries} from "../lib/zip.js";
import {pieces} from "./highlight.js";
import {VersionChoice} from "./parts.js";

const SHOWN = 512 << 10;
const LARGEST_ARCHIVE = 64 << 20;
const FIRST = ["src/program.py", "Dockerfile", "README.md"];

export function SourceView({program, number, onNumber}) {
  const path = `/v1/programs/${program.id}/versions/${number}/source`;
  const {value, problem, reload} = useLoad(({signal}) => read(path, signal), [path]);
  const missing = problem?.status === 404;
  return html`<div class="stack">
    <div class="row spread"><${VersionChoice} program=${program} number=${number} onNumber=${onNumber} />
      ${value && html`<a class="button" href=${path} download=${`${program.name}-${number}${value.files ? ".zip" : ".py"}`}>Download</a>`}</div>
    ${missing ? html`<${Empty} title=${problem.detail} />` : html`<${ProblemNote} problem=${problem} onRetry=${reload} />`}
    ${!value && !problem && html`<${Spinner} label="Loading the source" />`}
    ${value?.tooLarge && html`<${Empty} title=${`The archive has ${bytes(value.tooLarge)}: download it to look at it.`} />`}
    ${value?.text !== undefined && html`<${Code} text=${value.text} name="program.py" />`}
    ${value?.files && html`<${Project} archive=${value.archive} files=${value.files} />`}
  </div>`;
}

async function read(path, signal) {
  const response = await request(path, {signal});
  if (!response.headers.get("content-type")?.includes("zip")) return {text: await response.text()};
  const size = Number(response.headers.get("content-length"));
  if (size > LARGEST_ARCHIVE) return {tooLarge: size};
  const archive = await response.arrayBuffer();
  return {archive, files: entries(archive)};
}

function Project({archive, files}) {
  const first = FIRST.find((name) => files.some((each) => each.name === name)) ?? files[0]?.name;
  const [name, setName] = useState(first);
  const [content, setContent] = useState(null);
  const file = files.find((each) => each.name === name);
  useEffect(() => {
    let wanted = true;
    setContent(null);
    if (file) contentOf(archive, file, SHOWN).then((data) => wanted && setContent(readable(data)), (error) => wanted && setContent({problem: error.message}));
    return () => { wanted = false; };
  }, [file]);
  if (!files.length) return html`<${Empty} title="The archive is empty." />`;
  return html`<div class="project">
    <nav aria-label="Files"><ul>${files.map((each) => html`<li key=${each.name}><button type="button" aria-current=${each.name === name ? "true" : undefined}
      onClick=${() => setName(each.name)}><span class="wrap">${each.name}</span><span class="faint">${bytes(each.size)}</span></button></li>`)}</ul></nav>
    <div>${!content ? html`<${Spinner} label="Unpacking" />`
      : content.problem ? html`<${Empty} title=${content.problem} />`
      : html`<${Code} text=${content.text} name=${name} cut=${file.size > SHOWN ? file.size : 0} />`}</div>
  </div>`;
}

function readable(data) {
  if (data.subarray(0, 8000).includes(0)) return {problem: "This file is no text."};
  return {text: new TextDecoder().decode(data)};
}

function Code({text, name, cut = 0}) {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  const numbers = Array.from({length: Math.max(1, lines)}, (_, index) => index + 1).join("\n");
  const shown = /\.py$/.test(name) ? pieces(text) : [["", text]];
  return html`<figure class="source">
    <figcaption class="row spread"><span class="mono">${name}</span><${Copy} text=${text} /></figcaption>
    <div class="source-text" tabindex="0" role="region" aria-label=${`Source of ${name}`}>
      <pre class="numbers" aria-hidden="true">${numbers}</pre>
      <pre class="text"><code>${shown.map(([kind, piece]) => (kind ? html`<span class=${`py-${kind}`}>${piece}</span>` : piece))}</code></pre></div>
    ${cut > 0 && html`<p class="hint">The first ${bytes(SHOWN)} of ${bytes(cut)}; download it for the rest.</p>`}
  </figure>`;
}
