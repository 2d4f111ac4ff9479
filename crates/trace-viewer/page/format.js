// Values as people read them.

/** @typedef {import("./api.js").Value} Value */

/**
 * A duration in three figures.
 *
 * @param {number} nano
 */
export function duration(nano) {
  if (nano < 1e3) return `${Math.round(nano)} ns`;
  if (nano < 1e6) return `${figures(nano / 1e3)} µs`;
  if (nano < 1e9) return `${figures(nano / 1e6)} ms`;
  if (nano < 60e9) return `${figures(nano / 1e9)} s`;
  return `${Math.floor(nano / 60e9)} min ${Math.round((nano % 60e9) / 1e9)} s`;
}

/**
 * Three figures, no more digits than they tell.
 *
 * @param {number} number
 */
export function figures(number) {
  const size = Math.abs(number);
  return number.toFixed(size >= 100 || number === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}

const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** @param {number} number */
export const count = (number) => COUNT.format(number);

/**
 * @param {number} bytes
 */
export function bytes(bytes) {
  if (bytes < 1024) return `${count(bytes)} B`;
  if (bytes < 1024 ** 2) return `${figures(bytes / 1024)} KiB`;
  if (bytes < 1024 ** 3) return `${figures(bytes / 1024 ** 2)} MiB`;
  return `${figures(bytes / 1024 ** 3)} GiB`;
}

/**
 * A number in the unit that a metric names.
 *
 * @param {number | null} number
 * @param {string} unit
 */
export function measured(number, unit) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  if (unit === "s") return duration(number * 1e9);
  if (unit === "ms") return duration(number * 1e6);
  if (unit === "By") return bytes(number);
  return Number.isInteger(number) ? count(number) : figures(number);
}

/**
 * The time of day of nanoseconds since the Unix epoch, to the millisecond.
 *
 * @param {string | number} nano
 */
export function clock(nano) {
  const ms = Number(BigInt(nano) / 1000000n);
  const date = new Date(ms);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${
    String(date.getMilliseconds()).padStart(3, "0")}`;
}

/**
 * Date and time of day.
 *
 * @param {string | number} nano
 */
export function dateAndClock(nano) {
  const date = new Date(Number(BigInt(nano) / 1000000n));
  return `${date.toLocaleDateString("en-CA")} ${clock(nano)}`;
}

/**
 * The difference of two times in nanoseconds, exact.
 *
 * @param {string | number} later
 * @param {string | number} earlier
 */
export const between = (later, earlier) => Number(BigInt(later) - BigInt(earlier));

/**
 * A value as text; its type does not show.
 *
 * @param {Value | null | undefined} value
 * @returns {string}
 */
export function text(value) {
  if (value === null || value === undefined || value === "empty") return "";
  const [[type, of]] = Object.entries(value);
  if (type === "array") return `[${of.map(text).join(", ")}]`;
  if (type === "map") return `{${Object.entries(of).map(([key, item]) => `${key}: ${text(item)}`).join(", ")}}`;
  if (type === "bytes") return `${of.length} bytes`;
  return String(of);
}

/**
 * A value's type, for a tooltip.
 *
 * @param {Value} value
 */
export const type = (value) => (value === "empty" ? "empty" : Object.keys(value)[0]);

/** @param {number} severity OTLP's number, 1 to 24 */
export function severity(severity) {
  return ["", "trace", "debug", "info", "warn", "error", "fatal"][Math.ceil(Math.min(severity, 24) / 4)] || "–";
}

// ---- services ----

const COLOURS = 10;
/** @type {Map<string, number>} */
const colours = new Map();

/**
 * The colour of a service, as a CSS value: the same on every view, and another one than its
 * neighbours' as long as there are enough.
 *
 * @param {string} service
 */
export function colour(service) {
  let index = colours.get(service);
  if (index === undefined) {
    index = colours.size % COLOURS;
    colours.set(service, index);
  }
  return `var(--s${index})`;
}

/**
 * Gives out colours by the order of names, so that they are the same after loading anew.
 *
 * @param {string[]} services
 */
export function nameServices(services) {
  for (const service of services) colour(service);
}

// ---- SQL ----

const LINE = new Set(["SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "VALUES", "SET", "RETURNING",
  "ON CONFLICT", "INSERT INTO", "UPDATE", "DELETE FROM", "JOIN", "LEFT JOIN", "INNER JOIN", "LEFT OUTER JOIN",
  "RIGHT JOIN", "CROSS JOIN", "UNION", "UNION ALL", "FOR UPDATE", "OFFSET"]);
const INDENTED = new Set(["AND", "OR"]);
const WORD = new Set(["AS", "ON", "IN", "IS", "NOT", "NULL", "LIKE", "BETWEEN", "EXISTS", "CASE", "WHEN", "THEN", "ELSE",
  "END", "DISTINCT", "DESC", "ASC", "DO", "NOTHING", "DEFAULT", "BEGIN", "COMMIT", "ROLLBACK", "IMMEDIATE", "SAVEPOINT"]);
const TOKEN = new RegExp([
  "'(?:[^']|'')*'", '"(?:[^"]|"")*"', "`(?:[^`]|``)*`", "--[^\\n]*", "/\\*[\\s\\S]*?\\*/",
  "(?:GROUP|ORDER) BY", "INSERT INTO", "DELETE FROM", "ON CONFLICT", "FOR UPDATE", "UNION ALL",
  "(?:LEFT OUTER|LEFT|RIGHT|INNER|CROSS) JOIN", "[A-Za-z_][A-Za-z0-9_$]*", "\\s+", "[\\s\\S]",
].join("|"), "gi");

/**
 * A statement broken into lines. What the parts say together is the statement itself, but for white
 * space outside of quotes.
 *
 * @param {string} statement
 * @returns {{ text: string, keyword: boolean }[]}
 */
export function sql(statement) {
  /** @type {{ text: string, keyword: boolean }[]} */
  const parts = [];
  let depth = 0;
  let blank = false;
  for (const token of statement.match(TOKEN) ?? []) {
    if (/^\s+$/.test(token)) {
      blank = parts.length > 0;
      continue;
    }
    const upper = token.toUpperCase().replace(/\s+/g, " ");
    const starts = depth === 0 && (LINE.has(upper) || INDENTED.has(upper));
    if (starts && parts.length > 0) parts.push({ text: INDENTED.has(upper) ? "\n  " : "\n", keyword: false });
    else if (blank) parts.push({ text: " ", keyword: false });
    parts.push({ text: token, keyword: LINE.has(upper) || INDENTED.has(upper) || WORD.has(upper) });
    blank = false;
    if (token === "(") depth += 1;
    if (token === ")") depth = Math.max(0, depth - 1);
    if (token.startsWith("--")) parts.push({ text: "\n", keyword: false });
  }
  return parts;
}
