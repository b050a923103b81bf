// Python as pieces of text with a class each: comments, texts, words of the language, numbers.

const PIECES = new RegExp([
  String.raw`(?<comment>#[^\n]*)`,
  String.raw`(?<text>\b[rbfuRBFU]{0,2}("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)`,
  String.raw`(?<word>\b(?:False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)\b)`,
  String.raw`(?<number>\b\d[\d_.]*(?:[eE][+-]?\d+)?j?\b)`,
].join("|"), "g");
const MAX = 200_000;

/** Return [class or "", text] pairs that together are the source. */
export function pieces(source) {
  if (source.length > MAX) return [["", source]];
  const found = [];
  let at = 0;
  for (const match of source.matchAll(PIECES)) {
    if (match.index > at) found.push(["", source.slice(at, match.index)]);
    const [kind] = Object.entries(match.groups).find(([, text]) => text !== undefined);
    found.push([kind, match[0]]);
    at = match.index + match[0].length;
  }
  if (at < source.length) found.push(["", source.slice(at)]);
  return found;
}
