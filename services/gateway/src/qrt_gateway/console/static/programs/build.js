// How a version was built, line by line, while it happens.
import {api} from "../api.js";
import {Badge, Facts, ProblemNote, Time, html} from "../ui.js";
import {useEffect, useRef, useState} from "../lib/view.js";
import {between, seconds} from "../lib/format.js";
import {VersionChoice} from "./parts.js";

const WAIT_SECONDS = 20;
const KEPT = 5000;

export function BuildLog({program, number, onNumber, onEnd}) {
  const {build, lines, dropped, problem} = useBuild(program.id, number, onEnd);
  const box = useRef(null);
  const follows = useRef(true);
  useEffect(() => { if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight; }, [lines]);
  const scrolled = ({target}) => { follows.current = target.scrollTop + target.clientHeight >= target.scrollHeight - 8; };
  return html`<div class="stack">
    <div class="row spread"><${VersionChoice} program=${program} number=${number} onNumber=${onNumber} />
      <div aria-live="polite">${build && html`<${Badge} state=${build.state} />`}</div></div>
    ${build && html`<${Facts} items=${[
      ["Started", build.started_at && html`<${Time} at=${build.started_at} />`],
      ["Took", build.started_at && build.ended_at && seconds(between(build.started_at, build.ended_at))],
    ]} />`}
    <${ProblemNote} problem=${problem ?? build?.problem} />
    ${dropped > 0 && html`<p class="hint">The first ${dropped} lines are left out here; <a href=${`/v1/programs/${program.id}/versions/${number}/build/log`} target="_blank" rel="noopener">the whole log</a>.</p>`}
    <pre class="build-log" role="log" aria-label="Build log" tabindex="0" ref=${box} onScroll=${scrolled}>${
      lines.length ? lines.join("\n") : build?.state === "building" ? "Nothing has been written yet." : "This version needed no building."}</pre>
  </div>`;
}

function useBuild(programId, number, onEnd) {
  const [state, setState] = useState({build: null, lines: [], dropped: 0, problem: null});
  useEffect(() => {
    const controller = new AbortController();
    follow(programId, number, controller.signal, setState, onEnd);
    return () => controller.abort();
  }, [programId, number]);
  return state;
}

async function follow(programId, number, signal, setState, onEnd) {
  let [after, waited] = [0, false];
  while (!signal.aborted) {
    try {
      const page = await api(`/v1/programs/${programId}/versions/${number}/build`, {query: {after, wait: waited ? WAIT_SECONDS : 0}, signal});
      if (signal.aborted) return;
      after = page.last;
      setState((before) => {
        const all = [...before.lines, ...page.lines];
        const over = Math.max(0, all.length - KEPT);
        return {build: page.build, lines: all.slice(over), dropped: before.dropped + over, problem: null};
      });
      if (page.complete) {
        if (waited) onEnd();
        return;
      }
      waited = waited || page.build.state === "building";
    } catch (problem) {
      if (signal.aborted) return;
      setState((before) => ({...before, problem}));
      if (!problem.retryable) return;
      await new Promise((resolve) => { setTimeout(resolve, 2000); });
    }
  }
}
