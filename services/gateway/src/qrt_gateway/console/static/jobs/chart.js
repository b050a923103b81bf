// Interim results as a chart that moves while they come.
import {html, useEffect, useLayoutEffect, useMemo, useRef, useState} from "../lib/view.js";
import {useStore} from "../lib/store.js";
import {theme} from "../lib/theme.js";
import uPlot from "uplot";
import {Choice, useTicker} from "./parts.js";

const COLOURS = 6; // --series-1 ... in theme.css
const FIRST_SHOWN = 4;
const COUNTER = /^(i|n|k|t|iter(ation)?s?|step|epoch|index|round|number|count|done|total)$/i;

/** The fields to show at first: not those that only count. */
export function likely(names) {
  const telling = names.filter((name) => !COUNTER.test(name));
  return (telling.length ? telling : names).slice(0, FIRST_SHOWN);
}

export function Chart({job}) {
  const {interim} = job;
  useTicker(job.ticker);
  const [by, setBy] = useState("number");
  const [chosen, setChosen] = useState(null);
  const names = [...interim.columns.keys()];
  const shown = (chosen ?? likely(names)).filter((name) => interim.columns.has(name));
  const colour = (name) => 1 + (names.indexOf(name) % COLOURS);
  const toggle = (name) =>
    setChosen(names.filter((each) => (each === name ? !shown.includes(each) : shown.includes(each))));

  return html`<div class="chart">
    <div class="bar">
      <div class="fields" role="group" aria-label="Fields">${names.map((name) => html`
        <label key=${name} class=${`series series-${colour(name)}`}>
          <input type="checkbox" checked=${shown.includes(name)} onChange=${() => toggle(name)} />
          <span class="swatch" aria-hidden="true"></span><bdi>${label(name)}</bdi>
          <output>${shownNumber(lastOf(interim.columns.get(name), interim.places))}</output>
        </label>`)}</div>
      <span class="gap"></span>
      <${Choice} label="Along the bottom" value=${by} onChoose=${setBy}
        options=${[["number", "By number"], ["time", "By time"]]} />
    </div>
    <${Plot} interim=${interim} by=${by} shown=${shown} colour=${colour} />
    ${interim.stride > 1 && html`<p class="faint">Each point is ${interim.stride} results: their lowest and highest.</p>`}
  </div>`;
}

function Plot({interim, by, shown, colour}) {
  const box = useRef(null);
  const plot = useRef(null);
  const drawn = useRef({count: -1, at: 0});
  const [zoomed, setZoomed] = useState(false);
  const dark = useDark();
  const kind = JSON.stringify([by, shown, dark]);
  const description = useMemo(() => `Chart of ${shown.map(label).join(", ") || "nothing"}`, [kind]);

  useLayoutEffect(() => {
    drawn.current = {count: -1, at: 0};
    setZoomed(false);
    const made = new uPlot(options(box.current, {by, shown, colour, zoom: () => setZoomed(true)}), [[]], box.current);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(sizeOf(box.current)));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [kind]);

  useEffect(() => {
    const {count, generation} = interim;
    if (drawn.current.count === count && drawn.current.generation === generation) return undefined;
    const draw = () => {
      drawn.current = {count: interim.count, generation: interim.generation, at: performance.now()};
      plot.current?.setData(dataOf(interim, by, shown), !zoomed);
    };
    const wait = drawn.current.at + 100 - performance.now();
    if (wait <= 0) {
      draw();
      return undefined;
    }
    const timer = setTimeout(draw, wait);
    return () => clearTimeout(timer);
  });

  const reset = () => {
    setZoomed(false);
    plot.current.setData(dataOf(interim, by, shown), true);
  };
  return html`<div class="plot-frame">
    <div class="plot" ref=${box} role="img" aria-label=${description} data-points=${interim.count}
      onDblClick=${() => setZoomed(false)}></div>
    ${zoomed && html`<button type="button" class="button small plot-reset" onClick=${reset}>Show all</button>`}
  </div>`;
}

function options(box, {by, shown, colour, zoom}) {
  const css = getComputedStyle(box);
  const read = (name) => css.getPropertyValue(name).trim();
  const axis = {stroke: read("--chart-text"), grid: {stroke: read("--chart-grid"), width: 1}, ticks: {stroke: read("--chart-grid"), width: 1}};
  return {
    ...sizeOf(box),
    legend: {show: false},
    cursor: {points: {size: 7}, drag: {x: true, y: false}},
    scales: {x: {time: by === "time"}},
    axes: [{...axis, size: 34}, {...axis, size: 64, values: (_, ticks) => ticks.map((each) => shownNumber(each))}],
    series: [{}, ...shown.map((name) => ({
      label: label(name),
      stroke: read(`--series-${colour(name)}`),
      width: 1.75,
      spanGaps: true,
      points: {show: (self) => (self.data[0]?.length ?? 0) <= 60, size: 5},
    }))],
    hooks: {setSelect: [(self) => self.select.width > 0 && zoom()]},
  };
}

const sizeOf = (box) => ({width: Math.max(box.clientWidth, 120), height: Math.max(box.clientHeight, 160)});

/** Return columns as uPlot takes them; where results are merged, a place is its lowest and its highest. */
function dataOf(interim, by, shown) {
  const merged = interim.stride > 1;
  const along = by === "time" ? interim.times : interim.numbers;
  return [along, ...shown.map((name) => interim.columns.get(name))].map((column, index) => {
    const values = [];
    for (let at = 0; at < interim.places; at += 1) {
      const {[at]: low} = column.low;
      values.push(index && Number.isNaN(low) ? null : low);
      if (merged) values.push(index && Number.isNaN(low) ? null : column.high[at]);
    }
    return values;
  });
}

function lastOf(column, places) {
  for (let at = places - 1; at >= 0 && at > places - 1000; at -= 1) {
    if (!Number.isNaN(column.high[at])) return column.high[at];
  }
  return null;
}

export const label = (name) => name || "value";

/** A number in a few characters, whatever its size. */
export function shownNumber(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) return value.toExponential(2);
  return String(Math.round(value * 1e6) / 1e6);
}

function useDark() {
  const chosen = useStore(theme);
  const [system, setSystem] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setSystem(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return chosen === "system" ? system : chosen === "dark";
}
