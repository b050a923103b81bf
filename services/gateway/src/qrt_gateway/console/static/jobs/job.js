// One job as its page follows it: what the API says of it, and its outputs in their stores.
import {api} from "../api.js";
import {InterimStore} from "./interim.js";
import {LogStore} from "./logstore.js";
import {Ticker} from "./parts.js";
import {JobStream} from "./stream.js";

export const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);
const CIRCUITS = 20_000; // kept; of more, the newest
const GONE = new Set([401, 403, 404]);

export class Job {
  ticker = new Ticker();
  log = new LogStore();
  interim = new InterimStore();
  circuits = [];
  circuitCount = 0;
  view = null; // a JobView
  problem = null; // why there is none
  link = "connecting";
  last = 0; // number of the newest output
  #stream = null;
  #reading = null;
  #again = false;

  constructor(id) {
    this.id = id;
  }

  get ended() {
    return ENDED.has(this.view?.status);
  }

  /** Begin to follow; returns what ends that. */
  start() {
    this.#stream = new JobStream(this.id, {
      state: (frame) => this.#stands(frame),
      attempt: () => this.#anew(),
      outputs: (list) => this.#take(list),
      end: (frame) => this.#stands(frame),
      link: (state) => {
        this.link = state;
        this.ticker.changed();
      },
      lost: () => this.#gone(),
    });
    this.refresh().then(() => {
      if (this.view) this.#stream?.start();
    });
    return () => {
      this.#stream.close();
      this.#stream = null;
    };
  }

  /** Read again what the API says of the job. Many calls at once are two at most. */
  async refresh() {
    if (this.#reading) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = this.#read();
    await this.#reading;
    this.#reading = null;
    if (this.#again) {
      this.#again = false;
      return this.refresh();
    }
    return undefined;
  }

  /** Take over what an action has answered. */
  became(view) {
    this.view = view;
    this.problem = null;
    this.ticker.changed();
  }

  async #read() {
    try {
      this.became(await api(`/v1/jobs/${encodeURIComponent(this.id)}`));
    } catch (problem) {
      this.problem = problem;
      this.ticker.changed();
    }
  }

  async #gone() {
    await this.refresh();
    return GONE.has(this.problem?.status);
  }

  #stands({status, attempt}) {
    if (this.view && (this.view.status !== status || this.view.attempt !== attempt)) {
      this.became({...this.view, status, attempt, queue: null});
    }
    this.refresh();
  }

  #anew() {
    this.log.clear();
    this.interim.clear();
    this.circuits = [];
    this.circuitCount = 0;
    this.last = 0;
    this.ticker.changed();
  }

  #take(outputs) {
    for (const each of outputs) {
      if (each.kind === "log") this.log.feed(each.data, each.stream, Date.parse(each.at));
      else if (each.kind === "interim") this.interim.feed(each);
      else if (each.kind === "circuit") this.#circuit(each.data);
    }
    this.last = outputs.at(-1).number;
    this.ticker.changed();
  }

  #circuit(text) {
    this.circuits.push(JSON.parse(text));
    this.circuitCount += 1;
    if (this.circuits.length > 2 * CIRCUITS) this.circuits.splice(0, CIRCUITS);
  }
}
