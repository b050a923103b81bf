// The jobs that a filter finds: read in pages as they are looked at, their states kept up to date.
import {api} from "../api.js";
import {ENDED} from "./job.js";
import {Ticker} from "./parts.js";
import {StatesStream} from "./stream.js";

const FIRST_PAGE = 100; // soon on the screen
const PAGE = 500;
const AHEAD = 250; // rows before the end of what is read, where more is asked for
const GATHER = 250; // milliseconds in which news is gathered before it is asked about
const AT_ONCE = 4;
const QUEUED_ASKED = 20; // of many that were queued at once; the rest when they are seen

/** A job as the list needs it; the rest of a JobView is left. */
function slim(view) {
  const {id, owner, program, status, attempt, cancel_requested: cancelling, tags, queue, problem} = view;
  const {created_at, started_at, ended_at} = view;
  return {
    id, owner, program, status, attempt, cancelling, tags, queue, code: problem?.code ?? null,
    created_at, started_at, ended_at,
  };
}

export class JobList {
  ticker = new Ticker();
  rows = [];
  problem = null;
  link = "connecting";
  loading = false;
  complete = false;
  #places = new Map(); // of each id, its place
  #cursor = null;
  #filter;
  #abort = new AbortController();
  #stream = null;
  #stale = new Set(); // ids to be asked about
  #fresh = false; // jobs may have come that are newer than all here
  #timer = 0;
  #asking = false;

  /** `filter`: {status, program_id, tag, owner}, as the API takes them. */
  constructor(filter) {
    this.#filter = filter;
  }

  /** Begin to follow; returns what ends that. */
  start() {
    this.more();
    this.#stream = new StatesStream({
      state: (frame) => this.#told(frame),
      subscribed: () => this.#missed(),
      link: (state) => {
        this.link = state;
        this.ticker.changed();
      },
    });
    this.#stream.start();
    return () => {
      this.#abort.abort();
      this.#stream.close();
      clearTimeout(this.#timer);
    };
  }

  /** Read more if what is seen comes near the end of what is here. */
  near(index) {
    if (index > this.rows.length - AHEAD) this.more();
  }

  /** Read the next page. */
  async more() {
    if (this.loading || this.complete) return;
    this.loading = true;
    this.ticker.changed();
    try {
      const page = await this.#page({cursor: this.#cursor});
      for (const view of page.jobs) this.#put(view);
      this.#cursor = page.next_cursor;
      this.complete = page.next_cursor === null;
      this.problem = null;
    } catch (problem) {
      if (problem.name !== "AbortError") this.problem = problem;
    } finally {
      this.loading = false;
      this.ticker.changed();
    }
  }

  /** Ask where queued jobs stand. */
  ask(ids) {
    for (const id of ids) this.#stale.add(id);
    this.#soon();
  }

  #page(query) {
    return api("/v1/jobs", {query: {...this.#filter, limit: query.cursor ? PAGE : FIRST_PAGE, ...query}, signal: this.#abort.signal});
  }

  #put(view) {
    const at = this.#places.get(view.id);
    if (at !== undefined) this.rows[at] = slim(view);
    else {
      this.#places.set(view.id, this.rows.length);
      this.rows.push(slim(view));
    }
  }

  #told({job_id: id, status, attempt}) {
    const at = this.#places.get(id);
    if (at === undefined) this.#fresh ||= status === "QUEUED" || !this.rows.length || id > this.rows[0].id;
    else {
      const row = this.rows[at];
      if (row.status === status && row.attempt === attempt) return;
      this.rows[at] = {...row, status, attempt, queue: null};
      this.#stale.add(id);
      this.ticker.changed();
    }
    this.#soon();
  }

  /** Nobody told what happened meanwhile: what may have changed is read again. */
  #missed() {
    this.#fresh = true;
    for (const row of this.rows) if (!ENDED.has(row.status)) this.#stale.add(row.id);
    this.#soon();
  }

  #soon() {
    if (this.#timer || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#catchUp();
    }, GATHER);
  }

  async #catchUp() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      if (this.#fresh && !this.loading) await this.#newer();
      await this.#renew();
      this.problem = null;
    } catch (problem) {
      if (problem.name !== "AbortError") this.problem = problem;
    } finally {
      this.#asking = false;
      this.ticker.changed();
    }
    if (this.#fresh || this.#stale.size) this.#soon();
  }

  /** Put the jobs in front that are newer than the first one here. */
  async #newer() {
    this.#fresh = false;
    const page = await this.#page({});
    const fresh = page.jobs.filter((each) => !this.#places.has(each.id));
    if (fresh.length === page.jobs.length && this.rows.length) {
      this.#begin(page); // so many that there may be more between
      return;
    }
    const known = page.jobs.filter((each) => this.#places.has(each.id));
    for (const view of known) this.#put(view);
    const first = this.rows[0]?.id ?? "";
    const above = fresh.filter((each) => each.id > first).map(slim);
    if (!above.length) return;
    this.rows = [...above, ...this.rows];
    for (const {id} of above.filter(({status}) => status === "QUEUED").slice(-QUEUED_ASKED)) this.#stale.add(id);
    this.#places = new Map(this.rows.map((row, at) => [row.id, at]));
  }

  #begin(page) {
    this.rows = [];
    this.#places = new Map();
    for (const view of page.jobs) this.#put(view);
    this.#cursor = page.next_cursor;
    this.complete = page.next_cursor === null;
  }

  async #renew() {
    while (this.#stale.size) {
      const some = [...this.#stale].slice(0, AT_ONCE);
      for (const id of some) this.#stale.delete(id);
      await Promise.all(some.map((id) => this.#one(id)));
      this.ticker.changed();
    }
  }

  async #one(id) {
    try {
      const view = await api(`/v1/jobs/${id}`, {signal: this.#abort.signal});
      if (this.#places.has(id)) this.#put(view);
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      this.#drop(id);
    }
  }

  #drop(id) {
    this.rows = this.rows.filter((row) => row.id !== id);
    this.#places = new Map(this.rows.map((row, at) => [row.id, at]));
  }
}
