// When a job was queued, started and ended, on which executor, how isolated, and what it used.
import {Badge, Facts, Time, html} from "../ui.js";
import {between, bytes, count, exact, seconds} from "../lib/format.js";
import {useClock} from "./parts.js";
import {visible} from "./ansi.js";

const TONES = {succeeded: "good", failed: "bad", cancelled: "off", lost: "bad", refused: "off"};

export function Attempts({view, ended}) {
  useClock(!ended);
  return html`<${Timeline} view=${view} ended=${ended} />
    ${[...view.attempts].reverse().map((each) => html`<${Attempt} key=${each.number} attempt=${each} limits=${view.limits} />`)}
    <section class="card"><h2>Limits</h2><${Limits} limits=${view.limits} /></section>`;
}

/** The stretches of a job's life: `[{name, tone, from, to}]` in milliseconds. */
function stretches(view, now) {
  const found = [];
  let since = Date.parse(view.created_at);
  for (const {number, started_at: started, ended_at: ended, end} of view.attempts) {
    const begun = Date.parse(started);
    const over = ended ? Date.parse(ended) : now;
    if (begun > since) found.push({name: "queued", tone: "wait", from: since, to: begun});
    found.push({name: `attempt ${number}`, tone: end ? TONES[end] : "live", from: begun, to: Math.max(over, begun)});
    since = Math.max(over, begun);
  }
  const over = view.ended_at ? Date.parse(view.ended_at) : now;
  const waits = view.status === "QUEUED" || !view.attempts.length;
  if (waits && over > since) found.push({name: "queued", tone: "wait", from: since, to: over});
  return found;
}

function Timeline({view, ended}) {
  const all = stretches(view, Date.now());
  const whole = all.reduce((sum, {from, to}) => sum + to - from, 0) || 1;
  const moments = [["Queued", view.created_at], ["Started", view.started_at], ["Ended", view.ended_at]];
  return html`<section class="card"><h2>Timeline</h2>
    <div class="timeline" role="img" aria-label=${all.map(({name, from, to}) => `${name} ${seconds((to - from) / 1000)}`).join(", ")}>
      ${all.map(({name, tone, from, to}, at) => html`<span key=${at} class=${`stretch ${tone}`} title=${`${name}: ${seconds((to - from) / 1000)}`}
        style=${{flexGrow: Math.max((to - from) / whole, 0.004)}}></span>`)}
    </div>
    <ol class="legend">${all.map(({name, tone, from, to}, at) => html`<li key=${at} class=${tone}>
      <span class="swatch" aria-hidden="true"></span>${name} <span class="faint">${seconds((to - from) / 1000)}</span></li>`)}</ol>
    <${Facts} items=${[
      ...moments.map(([name, at]) => [name, at && html`<${Time} at=${at} /> <span class="faint">${exact(at)}</span>`]),
      [ended ? "Took in all" : "So far", seconds(between(view.created_at, view.ended_at))],
    ]} /></section>`;
}

function Attempt({attempt, limits}) {
  const {usage} = attempt;
  return html`<section class="card attempt" aria-label=${`Attempt ${attempt.number}`}>
    <header class="bar"><h2>Attempt ${attempt.number}</h2>
      <${Badge} state=${attempt.end ?? "RUNNING"} tone=${attempt.end ? TONES[attempt.end] : "live"}>${attempt.end ?? "running"}<//></header>
    ${attempt.reason && html`<p><bdi>${visible(attempt.reason)}</bdi></p>`}
    <${Facts} items=${[
      ["Executor", html`<bdi>${visible(attempt.executor)}</bdi>`],
      ["Isolation", attempt.isolation],
      ["Started", exact(attempt.started_at)],
      ["Took", seconds(between(attempt.started_at, attempt.ended_at))],
      ["Outputs", attempt.end ? count(attempt.last_output) : null],
      ["Exit code", usage?.exit_code],
      ["Signal", usage?.signal],
    ]} />
    ${usage && html`<div class="meters">
      <${Meter} name="Wall time" used=${usage.wall_seconds} of=${limits.wall_seconds} text=${seconds} />
      <${Meter} name="CPU time" used=${usage.cpu_seconds} of=${limits.cpu_seconds} text=${seconds} />
      <${Meter} name="Memory" used=${usage.peak_memory_bytes} of=${limits.memory_bytes} text=${bytes} />
    </div>`}</section>`;
}

function Meter({name, used, of, text}) {
  if (used === null || used === undefined) return null;
  const share = Math.min(used / of, 1);
  return html`<div class="meter"><span>${name}</span>
    <span class="meter-track" role="meter" aria-label=${name} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(100 * share)} aria-valuetext=${`${text(used)} of ${text(of)}`}>
      <span class=${`meter-fill ${share > 0.9 ? "high" : ""}`} style=${{width: `${100 * share}%`}}></span></span>
    <span class="faint">${text(used)} of ${text(of)}</span></div>`;
}

function Limits({limits}) {
  const said = Object.entries(limits).map(([name, value]) => [
    name.replace(/_(seconds|bytes)$/, "").replaceAll("_", " "),
    name.endsWith("_seconds") ? seconds(value) : name.endsWith("_bytes") ? bytes(value) : count(value),
  ]);
  return html`<${Facts} items=${said} />`;
}
