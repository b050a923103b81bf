// Terminal colours in a line of text: pieces of text with class names. Never markup.

const SEQUENCE = /\x1b\[([0-9;:]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?|\x9b[0-9;:]*[@-~]?/g;
// What would draw nothing, or draw over or turn round its neighbours: shown by name instead.
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Return text in which every control character can be seen and does nothing. */
export function visible(text) {
  return text.replace(UNSEEN, (each) => {
    const code = each.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

/** Return text without its escape sequences. */
export function plain(text) {
  return text.replace(SEQUENCE, "");
}

/** Return `[{text, names}]`: the pieces of a line, each with the class names of its colours. */
export function pieces(line) {
  if (!line.includes("\x1b") && !line.includes("\x9b")) return [{text: visible(line), names: ""}];
  const found = [];
  const style = {fg: null, bg: null, bold: false, dim: false, italic: false, underline: false};
  let from = 0;
  const add = (to) => {
    if (to > from) found.push({text: visible(line.slice(from, to)), names: namesOf(style)});
  };
  for (const match of line.matchAll(SEQUENCE)) {
    add(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") apply(style, match[1]);
  }
  add(line.length);
  return found;
}

function namesOf(style) {
  const names = [];
  if (style.fg !== null) names.push(`ansi-fg-${style.fg}`);
  if (style.bg !== null) names.push(`ansi-bg-${style.bg}`);
  for (const name of ["bold", "dim", "italic", "underline"]) if (style[name]) names.push(`ansi-${name}`);
  return names.join(" ");
}

function apply(style, codes) {
  const numbers = codes.split(/[;:]/).map((each) => Number(each || 0));
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 38 || code === 48) {
      const [colour, used] = extended(numbers, at + 1);
      style[code === 38 ? "fg" : "bg"] = colour;
      at += used;
    } else simple(style, code);
  }
}

function simple(style, code) {
  if (code === 0) Object.assign(style, {fg: null, bg: null, bold: false, dim: false, italic: false, underline: false});
  else if (code === 1) style.bold = true;
  else if (code === 2) style.dim = true;
  else if (code === 3) style.italic = true;
  else if (code === 4) style.underline = true;
  else if (code === 22) style.bold = style.dim = false;
  else if (code === 23) style.italic = false;
  else if (code === 24) style.underline = false;
  else if (code >= 30 && code <= 37) style.fg = code - 30;
  else if (code === 39) style.fg = null;
  else if (code >= 40 && code <= 47) style.bg = code - 40;
  else if (code === 49) style.bg = null;
  else if (code >= 90 && code <= 97) style.fg = code - 82;
  else if (code >= 100 && code <= 107) style.bg = code - 92;
}

/** Return the nearest of the sixteen colours, and how many numbers said it. */
function extended(numbers, at) {
  if (numbers[at] === 5) return [of256(numbers[at + 1] ?? 0), 2];
  if (numbers[at] === 2) return [nearest(numbers[at + 1] ?? 0, numbers[at + 2] ?? 0, numbers[at + 3] ?? 0), 4];
  return [null, 1];
}

function of256(index) {
  if (index < 16) return index;
  if (index >= 232) return nearest(...Array(3).fill(8 + 10 * (index - 232)));
  const level = (part) => (part ? 55 + 40 * part : 0);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function nearest(red, green, blue) {
  const most = Math.max(red, green, blue);
  if (most < 50) return 0;
  const on = (part) => (part > most / 2 ? 1 : 0);
  return on(red) + 2 * on(green) + 4 * on(blue) + (most > 190 ? 8 : 0);
}
