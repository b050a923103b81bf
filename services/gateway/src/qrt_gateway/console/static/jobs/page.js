// The page of one job: what it is doing, what it has said, what it has given.
import {navigate, setQuery} from "../router.js";
import {Badge, Copy, Facts, PageHead, Panel, ProblemNote, Spinner, Tabs, Time, html} from "../ui.js";
import {between, count, relative, seconds, short} from "../lib/format.js";
import {useEffect, useMemo} from "../lib/view.js";
import {Actions} from "./actions.js";
import {visible} from "./ansi.js";
import {Attempts} from "./attempts.js";
import {Circuits} from "./circuits.js";
import {Files} from "./files.js";
import {Input} from "./input.js";
import {Interims} from "./interims.js";
import {Job} from "./job.js";
import {Log} from "./log.js";
import {useClock, useTicker} from "./parts.js";
import {Result} from "./result.js";
import {numberOf} from "./values.js";

const PLACE_SECONDS = 3; // how often a queued job's place is asked for
const SOME = 1000; // outputs; fewer are read before one has looked
const LINKS = {connecting: "Connecting", live: "Live", waiting: "Connecting again", over: ""};

export default function JobPage({params, query}) {
  const job = useMemo(() => new Job(params.id), [params.id]);
  useEffect(() => job.start(), [job]);
  useTicker(job.ticker);
  const {view, problem} = job;
  usePlace(job);
  if (!view) {
    return html`<${PageHead} title="Job" back=${{href: "/console/jobs", label: "Jobs"}} />
      ${problem ? html`<${ProblemNote} problem=${problem} onRetry=${() => navigate(location.pathname, {replace: true})} />`
        : html`<${Spinner} label="Loading the job" />`}`;
  }
  const tabs = [
    {id: "overview", label: "Overview"},
    {id: "files", label: "Files", count: view.files.length},
    {id: "circuits", label: "Circuits", count: count(job.circuitCount)},
    {id: "attempts", label: "Attempts", count: view.attempts.length},
    {id: "input", label: "Input"},
  ];
  const active = tabs.some(({id}) => id === query.tab) ? query.tab : "overview";
  return html`<div class="job-page">
    <${PageHead} title=${visible(view.program.name)} back=${{href: "/console/jobs", label: "Jobs"}}
      beside=${html`<span class="job-state" role="status"><${Badge} state=${view.status} />
        ${view.cancel_requested && !job.ended && html` <span class="faint">cancelling</span>`}</span>
        ${!job.ended && html`<span class="link-state faint" data-link=${job.link}>${LINKS[job.link]}</span>`}
        ${job.ended && view.last_output - job.last > SOME && html`<span class="faint">reading
          ${" "}${count(job.last)} of ${count(view.last_output)} outputs</span>`}`}
      actions=${html`<${Actions} job=${job} />`} />
    <${Head} job=${job} />
    <${Tabs} label="Job" tabs=${tabs} active=${active} onSelect=${(id) => setQuery({tab: id === "overview" ? null : id})} />
    <${Panel} id=${active}>
      ${active === "overview" ? html`<${Overview} job=${job} />`
      : active === "files" ? html`<${Files} view=${view} ended=${job.ended} />`
      : active === "circuits" ? html`<${Circuits} job=${job} />`
      : active === "attempts" ? html`<${Attempts} view=${view} ended=${job.ended} />`
      : html`<${Input} id=${view.id} />`}
    <//></div>`;
}

function Overview({job}) {
  const {view, interim} = job;
  const running = !job.ended;
  const gives = interim.count > 0 || view.status === "SUCCEEDED";
  return html`<div class=${`overview ${gives ? "two" : ""}`}>
    ${gives && html`<div class="gives">
      ${interim.count > 0 && html`<${Interims} job=${job} running=${running} />`}
      ${view.status === "SUCCEEDED" && html`<${Result} id=${view.id} />`}
    </div>`}
    <${Log} key=${view.id} job=${job} running=${running} />
  </div>`;
}

function Head({job}) {
  const {view, interim} = job;
  useClock(!job.ended);
  const {program, queue, problem} = view;
  const facts = [
    ["Job", html`<code>${short(view.id)}</code> <${Copy} text=${view.id} label="Copy id" />`],
    ["Program", html`<a href=${`/console/programs/${program.id}`}><bdi>${visible(program.name)}</bdi></a> version ${program.version}`],
    ["Owner", view.owner],
    ["Submitted", html`<${Time} at=${view.created_at} />`],
    [job.ended ? "Took" : "Running for", view.started_at && seconds(between(view.started_at, view.ended_at))],
    ["Backend", view.backend && visible(view.backend)],
    ["Isolation", view.isolation],
    ["Priority", view.priority || null],
    ["Seed", view.seed],
    ["Shared with", sharedWith(view.shares)],
    ["Tags", view.tags.length > 0 && view.tags.map((tag) => html`<a class="tag" key=${tag}
      href=${`/console/jobs?${new URLSearchParams({tag})}`}><bdi>${visible(tag)}</bdi></a>`)],
  ];
  return html`<${Facts} items=${facts.filter(([, value]) => value !== false)} />
    ${view.status === "QUEUED" && html`<div class="note wait" data-queue-position=${queue?.position}>
      <p><strong>${queue ? `Place ${count(queue.position)} in the queue` : "In the queue"}</strong>
        ${queue?.estimated_start && html` · expected to start ${relative(queue.estimated_start)}`}</p>
      ${queue?.reason && html`<p>${visible(queue.reason)}</p>`}</div>`}
    ${interim.progress && view.status !== "SUCCEEDED" && html`<${Progress} progress=${interim.progress} />`}
    ${problem && html`<${WhyNot} problem=${problem} status=${view.status} />`}
    ${view.partial && html`<p class="faint">A limit ended the job: its outputs and files are what there was until then.</p>`}`;
}

function sharedWith(shares) {
  const names = [...(shares?.groups ?? []), ...(shares?.accounts ?? [])];
  return names.length ? names.join(", ") : null;
}

function WhyNot({problem, status}) {
  return html`<div class=${`note ${status === "CANCELLED" ? "off" : "bad"}`} role="alert">
    <p><strong>${visible(problem.title ?? problem.code)}</strong> <code>${problem.code}</code></p>
    ${problem.detail && html`<p class="said"><bdi>${visible(problem.detail)}</bdi></p>`}
    ${problem.traceback && html`<details open><summary>Traceback</summary>
      <pre class="traceback" tabindex="0" aria-label="Traceback">${problem.traceback.split("\n").map(visible).join("\n")}</pre></details>`}
  </div>`;
}

function Progress({progress}) {
  const [done, total] = [numberOf(progress.done), numberOf(progress.total)];
  const known = total > 0 && done >= 0;
  const share = known ? Math.min(done / total, 1) : 0;
  return html`<div class="job-progress">
    <div class="meter-track" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${known ? Math.round(100 * share) : undefined}>
      <span class="meter-fill live" style=${{width: `${100 * share}%`}}></span></div>
    <span class="faint">${known ? `${count(done)} of ${count(total)}` : Number.isNaN(done) ? "" : count(done)}
      ${typeof progress.message === "string" && html` <bdi>${visible(progress.message)}</bdi>`}</span></div>`;
}

/** Ask now and then where a queued job stands: no event tells. */
function usePlace(job) {
  const queued = job.view?.status === "QUEUED";
  useEffect(() => {
    if (!queued) return undefined;
    const timer = setInterval(() => document.hidden || job.refresh(), PLACE_SECONDS * 1000);
    return () => clearInterval(timer);
  }, [queued, job]);
}
