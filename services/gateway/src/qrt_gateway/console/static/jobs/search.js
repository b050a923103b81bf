// Search in a log: all matching rows, found a block at a time so that the page stays quick.
import {useEffect, useMemo, useRef, useState} from "../lib/view.js";
import {count} from "../lib/format.js";
import {last} from "./logstore.js";

const SLICE = 8; // milliseconds of searching before others have their turn
const LOOK_AGAIN = 200; // milliseconds, while a log is searched that may grow
const MOST = 1_000_000;

const NOTHING = {rows: [], done: false, pattern: null};

/** `show(place)` brings a row of the view into sight. */
export function useSearch(log, view, show) {
  const [text, setText] = useState("");
  const [exact, setExact] = useState(false);
  const [found, setFound] = useState(NOTHING);
  const [current, setCurrent] = useState(null);
  const wanted = useRef(false); // the first match is to be shown once there is one
  const pattern = useMemo(() => text === "" ? null : new RegExp(literal(text), exact ? "g" : "gi"), [text, exact]);

  useEffect(() => {
    setCurrent(null);
    wanted.current = Boolean(pattern);
  }, [pattern, log.generation]);

  useEffect(() => {
    if (!pattern) return undefined;
    let stopped = false;
    searched(log, pattern, () => stopped, (news) => stopped || setFound({...news, pattern}));
    return () => {
      stopped = true;
    };
  }, [pattern, log.generation]);

  const now = found.pattern === pattern ? found : NOTHING; // what is told of another search counts no more
  const rows = useMemo(
    () => (view.whole ? now.rows : now.rows.filter((each) => view.at(view.placeOf(each)) === each)),
    [now, view],
  );

  const go = (at) => {
    setCurrent(rows[at]);
    show(view.placeOf(rows[at]));
  };
  useEffect(() => {
    if (!wanted.current || !rows.length) return;
    wanted.current = false;
    go(0);
  }, [rows]);

  const step = (by) => {
    if (!rows.length) return;
    const at = current === null ? -1 : last(rows, (each) => each <= current);
    const next = by > 0 ? at + 1 : current !== null && rows[at] === current ? at - 1 : at;
    go((next + rows.length) % rows.length);
  };
  const onKey = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      step(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape" && text) {
      event.stopPropagation();
      event.preventDefault();
      setText("");
    }
  };
  return {
    text, setText, exact, setExact, pattern, current, step, onKey, total: rows.length,
    said: pattern ? said(rows, current, now.done) : "",
  };
}

function said(rows, current, done) {
  if (!rows.length) return done ? "no match" : "searching\u2026";
  const place = current === null ? 0 : last(rows, (each) => each <= current) + 1;
  return `${count(place)} of ${count(rows.length)}${done ? "" : "\u2026"}`;
}

/** Search what there is, then what comes; tells `{rows, done}` now and then until `stopped()`. */
async function searched(log, pattern, stopped, tell) {
  const own = new RegExp(pattern); // whose place nobody else moves
  const rows = [];
  let from = log.first;
  while (!stopped()) {
    const {end} = log;
    const before = rows.length;
    let since = performance.now();
    for (const some of log.matches(own, from)) {
      for (const each of some) if (each > (rows.at(-1) ?? -1)) rows.push(each);
      if (rows.length >= MOST) break;
      if (performance.now() - since < SLICE) continue;
      if (before === 0) tell({rows: rows.slice(0, 1000), done: false});
      await pause(0);
      if (stopped()) return;
      since = performance.now();
    }
    if (rows.length > before || before === 0) tell({rows: rows.slice(), done: true});
    from = Math.max(log.first, end - 1); // the last row may have grown
    while (!stopped() && log.end === end) await pause(LOOK_AGAIN);
  }
}

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));
const literal = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
