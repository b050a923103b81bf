// Reads zip archives in the browser: what is in them, and one file at a time.
// Source: APPNOTE.TXT 6.3.10, sections 4.3.6 to 4.3.16.

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const MAX_FILES = 5000;

/** Return [{name, size, packed, method, at}] of an archive in an ArrayBuffer. Throws Error if it is none. */
export function entries(buffer) {
  const view = new DataView(buffer);
  const end = endOf(view);
  const found = [];
  let at = view.getUint32(end + 16, true);
  const count = Math.min(view.getUint16(end + 10, true), MAX_FILES);
  for (let index = 0; index < count; index += 1) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("this is no zip archive");
    const [nameSize, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameSize));
    found.push({
      name, method: view.getUint16(at + 10, true), packed: view.getUint32(at + 20, true), size: view.getUint32(at + 24, true), at: view.getUint32(at + 42, true),
    });
    at += 46 + nameSize + extra + comment;
  }
  return found.filter((each) => !each.name.endsWith("/"));
}

/** Return the first `limit` bytes of one file. Throws Error for a kind of packing that is not read here. */
export async function contentOf(buffer, entry, limit) {
  const view = new DataView(buffer);
  const start = entry.at + 30 + view.getUint16(entry.at + 26, true) + view.getUint16(entry.at + 28, true);
  const packed = new Uint8Array(buffer, start, entry.packed);
  if (entry.method === 0) return packed.slice(0, limit);
  if (entry.method !== 8) throw new Error("this file is packed in a way that is not read here");
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const chunks = [];
  let size = 0;
  while (size < limit) {
    const {value, done} = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  reader.cancel().catch(() => {}); // what is beyond the limit is not wanted
  return new Uint8Array(await new Blob(chunks).arrayBuffer()).slice(0, limit);
}

function endOf(view) {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 65_557); at -= 1) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw new Error("this is no zip archive");
}
