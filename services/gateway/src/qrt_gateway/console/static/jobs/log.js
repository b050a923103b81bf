// The log of a job: follows its end, searches, filters and saves, however long it is.
import {html, useEffect, useMemo, useRef, useState} from "../lib/view.js";
import {count} from "../lib/format.js";
import {pieces, plain} from "./ansi.js";
import {LogView, STREAMS} from "./logstore.js";
import {copy, several, useTicker} from "./parts.js";
import {useSearch} from "./search.js";
import {Virtual} from "./virtual.js";

const ROW = 20; // pixels: also in jobs.css
const LEVELS = [["", "All levels"], ["1", "Info and above"], ["2", "Warnings and above"], ["3", "Errors"]];

/** `job.log` is a LogStore, `job.ticker` tells of its changes. */
export function Log({job, running}) {
  const {log} = job;
  useTicker(job.ticker);
  const [follow, setFollow] = useState(running);
  const [streams, setStreams] = useState(STREAMS);
  const [level, setLevel] = useState("");
  const [times, setTimes] = useState(false);
  const view = useMemo(
    () => new LogView(log, {streams, level: level === "" ? null : Number(level)}), [log, streams, level],
  );
  const list = useRef(null);
  const search = useSearch(log, view, (place) => {
    setFollow(false);
    list.current.show(place);
  });
  const field = useRef(null);

  useEffect(() => {
    const slash = (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);

  const toggle = (name) =>
    setStreams((some) => (some.includes(name) ? some.filter((each) => each !== name) : [...some, name]));

  return html`<section class="log" aria-label="Log">
    <div class="bar" role="toolbar" aria-label="Log">
      <label class="search"><span class="unseen">Search the log</span>
        <input type="search" ref=${field} placeholder="Search the log  ( / )" value=${search.text} maxlength="200"
          onInput=${(event) => search.setText(event.target.value)} onKeyDown=${search.onKey} /></label>
      <button type="button" title="Previous match (Shift+Enter)" aria-label="Previous match"
        disabled=${!search.total} onClick=${() => search.step(-1)}>↑</button>
      <button type="button" title="Next match (Enter)" aria-label="Next match"
        disabled=${!search.total} onClick=${() => search.step(1)}>↓</button>
      <button type="button" class="toggle" aria-pressed=${search.exact} title="Match case"
        aria-label="Match case" onClick=${() => search.setExact(!search.exact)}>Aa</button>
      <output class="faint">${search.said}</output>
      <span class="gap"></span>
      ${STREAMS.map((name) => html`<button type="button" key=${name} class=${`toggle stream-${name}`}
        aria-pressed=${streams.includes(name)} onClick=${() => toggle(name)}>${name}</button>`)}
      <label><span class="unseen">Levels</span>
        <select value=${level} onChange=${(event) => setLevel(event.target.value)}>
          ${LEVELS.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
        </select></label>
      <button type="button" class="toggle" aria-pressed=${times} onClick=${() => setTimes(!times)}>Times</button>
      <button type="button" class="toggle" aria-pressed=${follow} onClick=${() => setFollow(!follow)}>Follow</button>
      <a class="button" href=${`/v1/jobs/${job.id}/logs`} download=${`${job.id}.log`}>Download</a>
    </div>
    ${log.first > 0 && html`<p class="faint">The first ${count(log.first)} rows are not kept here; the download has
      them.</p>`}
    <div class="log-box">
      <${Virtual} count=${view.length} rowHeight=${ROW} handle=${list} follow=${follow}
        onFollow=${(at) => setFollow(at && (running || follow))} role="region" aria-label="Log text"
        class=${`virtual log-rows ${times ? "with-times" : ""}`}
        row=${(place) => html`<${Row} key=${view.at(place)} number=${view.at(place)} log=${log} times=${times}
          growth=${view.at(place) === log.end - 1 ? log.characters : 0}
          pattern=${search.pattern} current=${search.current === view.at(place)} />`} />
      ${view.length === 0 && html`<p class="log-empty faint">${log.end ? "Nothing of the log is chosen."
        : running ? "Nothing has been written yet." : "Nothing was written."}</p>`}
    </div>
    <p class="faint log-foot"><span data-log-lines=${log.lines}>${several(log.lines, "line")}</span>
      ${search.current !== null && html` · <button type="button" class="link"
        onClick=${() => copy(plain(log.row(search.current).text))}>Copy this line</button>`}</p>
  </section>`;
}

function Row({number, log, times, pattern, current}) {
  const {text, stream, continued, line, time} = log.row(number);
  return html`<div class=${`log-row stream-${stream} ${current ? "current" : ""}`} data-line=${line}>
    <span class="log-number">${continued ? "\u21aa" : line}</span>
    ${times && html`<span class="log-time">${new Date(time).toISOString().slice(11, 23)}</span>`}
    <span class="log-text">${pieces(text).map(({text: piece, names}) =>
      html`<span class=${names}>${marked(piece, pattern)}</span>`)}</span>
  </div>`;
}

/** Return a piece of text with what is searched for in marks. */
function marked(text, pattern) {
  if (!pattern) return text;
  const found = [];
  let from = 0;
  for (const {0: match, index} of text.matchAll(pattern)) {
    found.push(text.slice(from, index), html`<mark>${match}</mark>`);
    from = index + match.length;
    if (found.length > 200) break;
  }
  found.push(text.slice(from));
  return found;
}
