// A job's log, kept compactly: text in blocks, and of each row only numbers. A row is a line, or a part
// of a very long one; all rows are equally high on the page, whatever a program writes.

export const CUT = 1000; // characters of a row
export const STREAMS = ["stdout", "stderr", "system"];
const BLOCK_CHARACTERS = 1 << 16;
const BLOCK_ROWS = 4096;
const CONTINUED = 4; // flag: this row goes on with the line before it
const BREAK = /\r\n|\n|\r/g;
const LEVEL = /\b(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b/;
const LEVELS = {DEBUG: 0, INFO: 1, WARN: 2, WARNING: 2, ERROR: 3, CRITICAL: 4, FATAL: 4};

class Block {
  text = "";
  starts = [];
  ends = [];
  flags = [];
  lines = [];
  times = [];

  constructor(firstRow) {
    this.firstRow = firstRow;
  }

  get rows() {
    return this.starts.length;
  }

  get full() {
    return this.text.length >= BLOCK_CHARACTERS || this.rows >= BLOCK_ROWS;
  }

  add(start, flags, line, time) {
    this.starts.push(start);
    this.ends.push(start);
    this.flags.push(flags);
    this.lines.push(line);
    this.times.push(time);
  }

  seal() {
    this.starts = Uint32Array.from(this.starts);
    this.ends = Uint32Array.from(this.ends);
    this.flags = Uint8Array.from(this.flags);
    this.lines = Uint32Array.from(this.lines);
    this.times = Float64Array.from(this.times);
  }
}

export class LogStore {
  /** `keep`: characters to hold; what came first goes first. */
  constructor({keep = 64 << 20} = {}) {
    this.keep = keep;
    this.clear();
  }

  clear() {
    this.blocks = [];
    this.end = 0; // rows there ever were
    this.lines = 0;
    this.characters = 0;
    this.generation = (this.generation ?? 0) + 1;
    this.#open = false;
    this.#returned = false;
    this.#stream = 0;
  }

  #open; // the last row may go on
  #returned; // its text so far ended with a carriage return
  #stream;

  /** Number of the first row that is still held. */
  get first() {
    return this.blocks.length ? this.blocks[0].firstRow : this.end;
  }

  /** Take in a piece of log text as the runtime tells it. */
  feed(text, stream, time) {
    if (!text) return;
    const code = Math.max(0, STREAMS.indexOf(stream));
    // A piece may be large: in parts, so that blocks stay small.
    for (let from = 0; from < text.length; from += BLOCK_CHARACTERS) {
      this.#take(text.slice(from, from + BLOCK_CHARACTERS), code, time);
    }
  }

  /** Return `{text, stream, continued, line, time}` of a row. */
  row(number) {
    const block = this.#blockOf(number);
    const at = number - block.firstRow;
    return {
      text: this.#text(block, at),
      stream: STREAMS[block.flags[at] & 3],
      continued: Boolean(block.flags[at] & CONTINUED),
      line: block.lines[at],
      time: block.times[at],
    };
  }

  /** Yield arrays of the numbers of rows that match, a block at a time, from the block of row `from` on. */
  *matches(pattern, from = 0) {
    for (let at = Math.max(0, last(this.blocks, (each) => each.firstRow <= from)); at < this.blocks.length; at += 1) {
      yield this.#matching(this.blocks[at], pattern);
    }
  }

  /** Return a level from 0 (debug) to 4 (critical), as far as a row's text names one; else null. */
  level(number) {
    const found = LEVEL.exec(this.row(number).text.slice(0, 120));
    return found ? LEVELS[found[1]] : null;
  }

  /** The number of the row that shows a line; lines count from 1. */
  rowOfLine(line) {
    const block = this.blocks[last(this.blocks, (each) => each.lines[0] <= line)];
    if (!block) return this.first;
    const at = last(block.lines, (each) => each < line) + 1;
    return block.firstRow + Math.min(at, block.rows - 1);
  }

  #take(text, stream, time) {
    if (this.#open && this.#stream !== stream) this.#open = this.#returned = false;
    let block = this.blocks.at(-1);
    if (!block || block.full) block = this.#next(block);
    const base = block.text.length;
    block.text += text;
    this.characters += text.length;
    if (!this.#open) this.#begin(block, base, stream, time);
    else if (this.#returned && text[0] !== "\n") this.#restart(block, base);
    const split = this.#returned && text[0] === "\n"; // a line end that came in two pieces
    this.#returned = false;
    BREAK.lastIndex = 0;
    for (let found = BREAK.exec(text); found; found = BREAK.exec(text)) {
      const after = base + BREAK.lastIndex;
      const end = base + found.index - (split && found.index === 0 ? 1 : 0);
      this.#extend(block, Math.max(end, block.starts[block.rows - 1]), stream, time);
      if (found[0] !== "\r") {
        this.#open = false;
        if (BREAK.lastIndex < text.length) this.#begin(block, after, stream, time);
      } else if (BREAK.lastIndex < text.length) this.#restart(block, after);
      else this.#returned = true;
    }
    if (this.#open) this.#extend(block, base + text.length - (this.#returned ? 1 : 0), stream, time);
    this.#forget();
  }

  #begin(block, start, stream, time, continued = false) {
    if (!continued) this.lines += 1;
    block.add(start, stream | (continued ? CONTINUED : 0), this.lines, time);
    this.end += 1;
    this.#open = true;
    this.#stream = stream;
  }

  /** A carriage return: what follows is written over what the row said. */
  #restart(block, start) {
    block.starts[block.rows - 1] = start;
    block.ends[block.rows - 1] = start;
  }

  #extend(block, end, stream, time) {
    let start = block.starts[block.rows - 1];
    while (end - start > CUT) {
      const high = block.text.charCodeAt(start + CUT - 1);
      const cut = start + CUT - (high >= 0xd800 && high < 0xdc00 ? 1 : 0);
      block.ends[block.rows - 1] = cut;
      this.#begin(block, cut, stream, time, true);
      start = cut;
    }
    block.ends[block.rows - 1] = end;
  }

  #next(full) {
    const continued = this.#open;
    if (full) full.seal();
    const block = new Block(this.end);
    this.blocks.push(block);
    if (continued) this.#begin(block, 0, this.#stream, full.times.at(-1), true);
    return block;
  }

  #forget() {
    while (this.characters > this.keep && this.blocks.length > 1) {
      this.characters -= this.blocks.shift().text.length;
    }
  }

  #blockOf(number) {
    return this.blocks[last(this.blocks, (each) => each.firstRow <= number)];
  }

  #text(block, at) {
    return block.text.slice(block.starts[at], block.ends[at]);
  }

  #matching(block, pattern) {
    const found = [];
    pattern.lastIndex = 0;
    for (let match = pattern.exec(block.text); match; match = pattern.exec(block.text)) {
      const at = last(block.starts, (each) => each <= match.index);
      if (at >= 0 && match.index < block.ends[at]) {
        found.push(block.firstRow + at);
        pattern.lastIndex = Math.max(block.ends[at], match.index + 1);
      } else if (!match[0]) pattern.lastIndex += 1;
    }
    return found;
  }
}

/** Return the place of the last item for which `holds` is true, of a list that begins with such; -1 if none. */
export function last(list, holds) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The rows of a log that are to be seen: all, or those of some streams and from some level on. */
export class LogView {
  #rows = [];
  #seen = 0;
  #generation = 0;

  /** `level` null is every level; rows that name none are of the level of the row before them. */
  constructor(store, {streams = STREAMS, level = null} = {}) {
    this.store = store;
    this.streams = new Set(streams);
    this.level = level;
    this.whole = this.streams.size === STREAMS.length && level === null;
  }

  get length() {
    if (this.whole) return this.store.end - this.store.first;
    this.#read();
    return this.#rows.length;
  }

  /** Return the number of the row at a place. */
  at(place) {
    return this.whole ? this.store.first + place : this.#rows[place];
  }

  /** Return the place of a row, or of the next one after it. */
  placeOf(number) {
    if (this.whole) return Math.max(0, number - this.store.first);
    return last(this.#rows, (each) => each < number) + 1;
  }

  #read() {
    const {store} = this;
    if (this.#generation !== store.generation) {
      this.#generation = store.generation;
      this.#rows = [];
      this.#seen = store.first;
    }
    while (this.#rows.length && this.#rows[0] < store.first) {
      this.#rows.splice(0, last(this.#rows, (each) => each < store.first) + 1);
    }
    // The last row may still grow, but not change its stream.
    for (this.#seen = Math.max(this.#seen, store.first); this.#seen < store.end; this.#seen += 1) {
      if (this.#shows(this.#seen)) this.#rows.push(this.#seen);
    }
  }

  #level = 1;

  #shows(number) {
    const row = this.store.row(number);
    if (this.level === null) return this.streams.has(row.stream);
    if (!row.continued) this.#level = this.store.level(number) ?? (row.text.startsWith(" ") ? this.#level : 1);
    return this.streams.has(row.stream) && this.#level >= this.level;
  }
}
