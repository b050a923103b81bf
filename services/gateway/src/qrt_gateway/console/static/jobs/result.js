// What a job returned: a tree, and its counts and probabilities as histograms.
import {request} from "../api.js";
import {Button, Copy, Empty, ProblemNote, Spinner, html} from "../ui.js";
import {bytes} from "../lib/format.js";
import {useEffect, useMemo, useState} from "../lib/view.js";
import {allCounts} from "./counts.js";
import {Histogram} from "./histogram.js";
import {save} from "./parts.js";
import {Tree} from "./tree.js";
import {parsed} from "./values.js";

const LARGE = 4 << 20; // bytes; more is shown only when asked for
const BEGIN = ',"result":';

export function Result({id}) {
  const [wanted, setWanted] = useState(false);
  const {text, size, problem} = useText(`/v1/jobs/${id}/result`, wanted);
  return html`<section class="result card" aria-labelledby="result-head">
    <header class="bar"><h2 id="result-head">Result</h2><span class="gap"></span>
      ${text !== null && html`<${Copy} text=${text} />
        <${Button} kind="quiet" onClick=${() => save(`${id}-result.json`, text, "application/json")}>Download<//>`}</header>
    <${ProblemNote} problem=${problem} />
    ${text !== null ? html`<${Shown} text=${text} />` : size !== null && !wanted ? html`
      <${Empty} title=${`The result is large: ${bytes(size)}.`}>
        <p><${Button} onClick=${() => setWanted(true)}>Show it here<//>
        <a class="button" href=${`/v1/jobs/${id}/result`} download=${`${id}-result.json`}>Download</a></p><//>`
    : !problem && html`<${Spinner} label="Reading the result" />`}
  </section>`;
}

/** A JSON document's value, its histograms first. */
export function Shown({text}) {
  const value = useMemo(() => parsed(text), [text]);
  const found = useMemo(() => allCounts(value), [value]);
  return html`${found.map(({name, pairs}) => html`<${Histogram} key=${name} name=${name} pairs=${pairs} />`)}
    <${Tree} value=${value} label="Result" />`;
}

/** Read a result's own text, unless it is large and not `wanted`: then only its size. */
function useText(path, wanted) {
  const [state, setState] = useState({text: null, size: null, problem: null});
  useEffect(() => {
    const controller = new AbortController();
    read(path, wanted, controller.signal).then(
      (found) => setState({text: null, size: null, problem: null, ...found}),
      (problem) => controller.signal.aborted || setState({text: null, size: null, problem}),
    );
    return () => controller.abort();
  }, [path, wanted]);
  return state;
}

async function read(path, wanted, signal) {
  const answer = await request(path, {signal});
  const size = Number(answer.headers.get("Content-Length") ?? 0);
  if (size > LARGE && !wanted) {
    answer.body?.cancel();
    return {size};
  }
  const document = await answer.text();
  // The runtime writes the value last and as the program wrote it: digits that a parser would round stay.
  return {text: document.slice(document.indexOf(BEGIN) + BEGIN.length, -1), size};
}
