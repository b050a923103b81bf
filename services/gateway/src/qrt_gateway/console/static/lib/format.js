// Numbers, sizes and times as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1536 -> "1.5 KiB" */
export function bytes(size) {
  if (size === null || size === undefined) return "";
  let unit = 0;
  let value = size;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** 75.2 -> "1 min 15 s" */
export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  const whole = Math.round(value);
  const [days, hours, minutes, rest] = [
    Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60,
  ];
  if (days) return hours ? `${days} d ${hours} h` : `${days} d`;
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
}

/** Seconds between two RFC 3339 times; to now without the second one. */
export function between(from, to = null) {
  if (!from) return null;
  return Math.max(0, ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000);
}

/** "3 min ago", "in 2 h", "just now" */
export function relative(at, now = Date.now()) {
  const away = (now - Date.parse(at)) / 1000;
  const size = Math.abs(away);
  if (size < 10) return "just now";
  const said = size < 60 ? `${Math.round(size)} s` : size < 3600 ? `${Math.round(size / 60)} min`
    : size < 86400 ? `${Math.round(size / 3600)} h` : size < 30 * 86400 ? `${Math.round(size / 86400)} d` : null;
  if (said === null) return new Date(at).toLocaleDateString();
  return away >= 0 ? `${said} ago` : `in ${said}`;
}

/** Date and time to the second, in this browser's zone. */
export function exact(at) {
  return new Date(at).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "medium"});
}

/** Grouped digits. */
export function count(value) {
  return Number(value).toLocaleString();
}

/** The first digits of an id or a digest. */
export function short(id) {
  return String(id ?? "").slice(0, 12);
}
