// The list of jobs.
import {account, api, may} from "../api.js";
import {navigate, setQuery} from "../router.js";
import {Badge, Button, Empty, Field, PageHead, ProblemNote, Time, html} from "../ui.js";
import {between, count, seconds, short} from "../lib/format.js";
import {useLoad} from "../lib/load.js";
import {useStore} from "../lib/store.js";
import {useEffect, useMemo, useRef, useState} from "../lib/view.js";
import {visible} from "./ansi.js";
import {ENDED} from "./job.js";
import {JobList} from "./joblist.js";
import {useClock, useTicker} from "./parts.js";
import {Virtual} from "./virtual.js";

const ROW = 48; // pixels: also in jobs.css
const STATES = ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"];
const PLACE_SECONDS = 5; // how often queued jobs in sight are asked where they stand

export default function Jobs({query}) {
  const filter = useMemo(() => filterOf(query), [JSON.stringify(filterOf(query))]);
  const jobs = useMemo(() => new JobList(filter), [filter]);
  useEffect(() => jobs.start(), [jobs]);
  useTicker(jobs.ticker);
  useClock(true, 1000);
  const filtered = Object.keys(filter).length > 0;

  return html`<div class="jobs-page">
    <${PageHead} title="Jobs" beside=${html`<span class="faint" data-jobs=${jobs.rows.length} data-link=${jobs.link}>
      ${count(jobs.rows.length)}${jobs.complete ? "" : "+"}${jobs.link === "waiting" ? " · connecting again" : ""}</span>`}
      actions=${html`<a class="button" href="/console/programs">Run a program</a>`} />
    <${Filters} query=${query} />
    <${ProblemNote} problem=${jobs.problem} onRetry=${() => jobs.more()} />
    ${jobs.rows.length > 0 || !jobs.complete ? html`<${Rows} jobs=${jobs} />`
      : html`<${Empty} title=${filtered ? "No job is like that." : "There are no jobs yet."}>
        ${filtered ? html`<p><${Button} onClick=${() => navigate("/console/jobs", {replace: true})}>Show all<//></p>`
          : html`<p><a href="/console/programs">Choose a program to run</a></p>`}<//>`}
  </div>`;
}

/** The query of the API for that of the page; what has its default is left out. */
function filterOf({status, program, tag, owner}) {
  const given = {status, program_id: program, tag, owner: owner === "me" ? undefined : owner};
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
}

function Filters({query}) {
  const who = useStore(account);
  const {value: programs} = useLoad(({signal}) => api("/v1/programs", {query: {limit: 200}, signal}), []);
  const [tag, setTag] = useState(query.tag ?? "");
  useEffect(() => setTag(query.tag ?? ""), [query.tag]);
  const choose = (name) => (event) => setQuery({[name]: event.target.value});
  const known = programs?.programs ?? [];
  const other = query.program && !known.some(({id}) => id === query.program);
  return html`<form class="filters" role="search" aria-label="Jobs" onSubmit=${(event) => {
    event.preventDefault();
    setQuery({tag: tag.trim()});
  }}>
    <${Field} as="select" label="State" value=${query.status ?? ""} onChange=${choose("status")} data-search>
      <option value="">Any</option>
      ${STATES.map((state) => html`<option key=${state} value=${state}>${state[0] + state.slice(1).toLowerCase()}</option>`)}<//>
    <${Field} as="select" label="Program" value=${query.program ?? ""} onChange=${choose("program")}>
      <option value="">Any</option>
      ${known.map(({id, name}) => html`<option key=${id} value=${id}>${visible(name)}</option>`)}
      ${other && html`<option value=${query.program}>${short(query.program)}</option>`}<//>
    <${Field} label="Tag" type="search" value=${tag} maxlength="256" onInput=${(event) => setTag(event.target.value)}
      onChange=${() => setQuery({tag: tag.trim()})} />
    ${who?.role && html`<${Field} as="select" label="Whose" value=${query.owner ?? "me"} onChange=${choose("owner")}>
      <option value="me">Mine</option><option value="shared">Shared with me</option>
      ${may(who, "admin") && html`<option value="all">Everybody's</option>`}<//>`}
    ${Object.keys(query).length > 0 && html`<${Button} kind="quiet" onClick=${() => navigate("/console/jobs", {replace: true})}>Clear<//>`}
  </form>`;
}

function Rows({jobs}) {
  const list = useRef(null);
  const seen = useRef([0, 0]);
  const [current, setCurrent] = useState(0);
  const {rows} = jobs;

  useEffect(() => {
    const ask = () => {
      if (document.hidden) return;
      const queued = jobs.rows.slice(...seen.current).filter(({status}) => status === "QUEUED");
      jobs.ask(queued.map(({id}) => id));
    };
    const timer = setInterval(ask, PLACE_SECONDS * 1000);
    return () => clearInterval(timer);
  }, [jobs]);

  const onKey = (event) => {
    const steps = {ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity};
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const focused = Number(event.target.closest?.("[data-row]")?.dataset.row ?? -1);
    const next = Math.max(0, Math.min(rows.length - 1, (focused < 0 ? current - 1 : focused) + steps[event.key]));
    setCurrent(next);
    list.current.show(next);
    const focus = () => {
      const link = document.querySelector(`[data-row="${next}"] a`);
      link?.focus({preventScroll: true});
      return Boolean(link);
    };
    // A row far away is drawn first.
    if (!focus()) requestAnimationFrame(() => requestAnimationFrame(focus));
  };

  return html`<div class="job-list" role="table" aria-label="Jobs" aria-rowcount=${jobs.complete ? rows.length + 1 : -1}>
    <div class="job-row job-head" role="row">
      ${["State", "Program", "Job", "Tags", "Submitted", "Took"].map((name) => html`<span role="columnheader" key=${name}>${name}</span>`)}</div>
    <${Virtual} count=${rows.length + (jobs.complete ? 0 : 1)} rowHeight=${ROW} handle=${list} role="rowgroup" aria-label="Jobs"
      class="virtual job-rows" onKey=${onKey}
      onNear=${(from, to) => {
        seen.current = [from, to];
        jobs.near(to);
      }}
      row=${(at) => (at < rows.length ? html`<${Row} key=${rows[at].id} job=${rows[at]} at=${at} />`
        : html`<div class="job-row" role="row" key="more"><span role="cell" class="faint">Loading…</span></div>`)} />
  </div>`;
}

function Row({job, at}) {
  const {program, queue} = job;
  const who = useStore(account);
  const ended = ENDED.has(job.status);
  const took = job.started_at ? seconds(between(job.started_at, job.ended_at)) : "";
  return html`<div class="job-row" role="row" data-row=${at} aria-rowindex=${at + 2}>
    <span role="cell"><${Badge} state=${job.status} />
      ${job.cancelling && !ended && html`<span class="faint small">cancelling</span>`}
      ${job.code && html`<span class="faint small job-code">${job.code}</span>`}
      ${queue && html`<span class="faint small job-place" title=${visible(queue.reason)}>#${count(queue.position)} ${visible(queue.reason)}</span>`}</span>
    <span role="cell" class="job-program"><a href=${`/console/jobs/${job.id}`}><bdi>${visible(program.name)}</bdi></a>
      <span class="faint small">v${program.version}${job.owner !== who?.name && html` · <bdi>${job.owner}</bdi>`}</span></span>
    <span role="cell" class="job-id"><code title=${job.id}>${short(job.id)}</code></span>
    <span role="cell" class="job-tags">${job.tags.slice(0, 3).map((tag) => html`<span class="tag" key=${tag}><bdi>${visible(tag)}</bdi></span>`)}
      ${job.tags.length > 3 && html`<span class="faint">+${job.tags.length - 3}</span>`}</span>
    <span role="cell" class="faint"><${Time} at=${job.created_at} /></span>
    <span role="cell" class="faint job-took">${took}</span>
  </div>`;
}
