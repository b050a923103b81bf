// Small things that several parts of the job pages need.
import {html, useEffect, useState} from "../lib/view.js";
import {count} from "../lib/format.js";

const PAUSE = 40; // milliseconds between two drawings: what comes faster nobody reads

/** Lets components draw anew when a store has changed: soon, and not for each change. */
export class Ticker {
  #listeners = new Set();
  #asked = false;
  #last = 0;

  changed() {
    if (this.#asked || !this.#listeners.size) return;
    this.#asked = true;
    const wait = this.#last + PAUSE - performance.now();
    if (wait <= 0) requestAnimationFrame(this.#tell);
    else setTimeout(() => requestAnimationFrame(this.#tell), wait);
  }

  #tell = () => {
    this.#asked = false;
    this.#last = performance.now();
    for (const each of [...this.#listeners]) each();
  };

  follow(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Draw anew whenever the ticker ticks. */
export function useTicker(ticker) {
  const [, draw] = useState(null);
  useEffect(() => {
    const stop = ticker.follow(() => draw({}));
    draw({});
    return stop;
  }, [ticker]);
}

/** Draw anew every so often while `on`: for what shows how long something has taken. */
export function useClock(on, milliseconds = 1000) {
  const [, draw] = useState(null);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => document.hidden || draw({}), milliseconds);
    return () => clearInterval(timer);
  }, [on, milliseconds]);
}

/** "1 line", "2 lines" */
export const several = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

/** Put text on the clipboard, also where the page came over plain HTTP. */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** Let the browser save text as a file. */
export function save(name, parts, type = "text/plain") {
  const address = URL.createObjectURL(new Blob(Array.isArray(parts) ? parts : [parts], {type}));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** A list of choices of which one is made: buttons that say so. */
export function Choice({label, value, options, onChoose}) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(([name, text]) => html`<button type="button" key=${name} aria-pressed=${name === value}
      onClick=${() => onChoose(name)}>${text}</button>`)}
  </div>`;
}
