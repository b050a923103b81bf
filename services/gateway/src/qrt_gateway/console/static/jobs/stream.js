// A job's frames over WebSockets: connected again when cut, resumed by number, nothing missed and
// nothing told twice. What is told goes straight into stores that are bounded; nothing waits here.

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 10_000;
const STALE = 30_000; // hidden for longer than this, a connection may be dead without knowing

class Connection {
  #socket = null;
  #timer = 0;
  #pause = FIRST_PAUSE;
  #over = false;
  #hiddenAt = 0;
  #wake = () => this.#woken();

  start() {
    globalThis.addEventListener("online", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    this.#connect();
  }

  /** End it for good. */
  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    globalThis.removeEventListener("online", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    this.#drop();
  }

  /** Connect anew at once, from where the last frame was. */
  again() {
    if (this.#over) return;
    clearTimeout(this.#timer);
    this.#drop();
    this.#connect();
  }

  get over() {
    return this.#over;
  }

  #connect() {
    const address = new URL(this.path(), location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => this.opened(socket);
    socket.onmessage = (event) => {
      this.#pause = FIRST_PAUSE;
      this.frame(JSON.parse(event.data));
    };
    socket.onclose = (event) => this.#closed(event.code);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Browsers warn of a connection that is closed before it stands.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket.close();
  }

  async #closed(code) {
    this.#socket = null;
    if (this.#over) return;
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    this.waiting(code);
    // A refused handshake tells a page nothing: whoever knows asks in the meantime.
    if (!this.#over) this.#timer = setTimeout(() => this.again(), pause);
  }

  #woken() {
    if (document.hidden) {
      this.#hiddenAt = performance.now();
    } else if (!this.#socket || performance.now() - this.#hiddenAt > STALE) {
      this.again();
    }
  }
}

/**
 * One job's outputs and states, to its end.
 *
 * `told` has what is called: `state(frame)`, `attempt(number)` (forget the outputs of the one before),
 * `outputs(list)`, `end(frame)`, `link("live" | "waiting" | "over")`, and `lost()` when a connection
 * did not come about or was refused: the answer true says that there is nothing to come back for.
 */
export class JobStream extends Connection {
  #id;
  #told;
  #attempt = null;
  #number = 0;

  constructor(jobId, told) {
    super();
    this.#id = jobId;
    this.#told = told;
  }

  path() {
    const place = this.#attempt === null ? "" : `?attempt=${this.#attempt}&after=${this.#number}`;
    return `/v1/jobs/${encodeURIComponent(this.#id)}/stream${place}`;
  }

  opened() {
    this.#told.link("live");
  }

  waiting() {
    this.#told.link("waiting");
    this.#told.lost().then((final) => {
      if (final && !this.over) this.#finish();
    });
  }

  frame(frame) {
    switch (frame.type) {
      case "state":
        this.#told.state(frame);
        break;
      case "attempt":
        this.#enter(frame.attempt);
        break;
      case "outputs":
        this.#outputs(frame);
        break;
      case "end":
        this.#told.end(frame);
        this.#finish();
        break;
    }
  }

  #finish() {
    this.close();
    this.#told.link("over");
  }

  #enter(attempt) {
    this.#attempt = attempt;
    this.#number = 0;
    this.#told.attempt(attempt);
  }

  #outputs({attempt, outputs}) {
    if (attempt !== this.#attempt) {
      if (this.#attempt !== null && attempt < this.#attempt) return;
      this.#enter(attempt);
    }
    const fresh = outputs.filter((each) => each.number > this.#number);
    if (!fresh.length) return;
    if (fresh[0].number !== this.#number + 1) {
      this.again(); // something is missing between: it is asked for again
      return;
    }
    this.#number = fresh.at(-1).number;
    this.#told.outputs(fresh);
  }
}

/**
 * States of all the caller's jobs. `told.state(frame)` for each; `told.subscribed()` whenever what was
 * told before may have had holes, so that lists are read again; `told.link(...)` as above.
 */
export class StatesStream extends Connection {
  #told;

  constructor(told) {
    super();
    this.#told = told;
  }

  path() {
    return "/v1/stream";
  }

  opened(socket) {
    socket.send(JSON.stringify({type: "subscribe", all: true, outputs: false}));
  }

  waiting() {
    this.#told.link("waiting");
  }

  frame(frame) {
    if (frame.type === "state") this.#told.state(frame);
    if (frame.type === "error" && frame.job_id === undefined) this.again();
    if (frame.type === "subscribed") {
      this.#told.link("live");
      this.#told.subscribed();
    }
  }
}
