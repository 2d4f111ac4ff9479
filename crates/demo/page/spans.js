// The page's own telemetry: a trace begins with a click, and its spans go to the viewer with the services'.

/**
 * A span in the making.
 *
 * @typedef {object} Span
 * @property {string} traceId 32 hex digits
 * @property {string} spanId 16 hex digits
 * @property {string | null} parentSpanId
 * @property {string} name
 * @property {number} kind OTLP's: 1 internal, 3 client
 * @property {number} start milliseconds since the page's time origin
 * @property {Record<string, string | number>} attributes
 * @property {string | null} error
 */

/** @param {number} bytes */
function random(bytes) {
  const of = crypto.getRandomValues(new Uint8Array(bytes));
  return [...of].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Begins a span; without a parent, a trace.
 *
 * @param {string} name
 * @param {Span | null} [parent]
 * @param {number} [kind]
 * @returns {Span}
 */
export function begin(name, parent = null, kind = 1) {
  return {
    traceId: parent?.traceId ?? random(16), spanId: random(8), parentSpanId: parent?.spanId ?? null,
    name, kind, start: performance.now(), attributes: {}, error: null,
  };
}

/**
 * What a request carries so that what it causes belongs to the span. W3C Trace Context, level 2: recorded,
 * and the trace's id is random.
 *
 * @param {Span} span
 */
export const traceparent = (span) => `00-${span.traceId}-${span.spanId}-03`;

/** What a request carries that is to leave no trace: the page only looks whether something has changed. */
export const unrecorded = () => `00-${random(16)}-${random(8)}-02`;

/** @type {object[]} */
let ended = [];
let sending = 0;

/**
 * Ends a span. Those of a click are sent together, soon; where nobody takes them they are gone, since a shop
 * is no worse for it.
 *
 * @param {Span} span
 */
export function end(span) {
  const attributes = Object.entries(span.attributes).map(([key, value]) => ({
    key, value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value },
  }));
  ended.push({
    traceId: span.traceId, spanId: span.spanId, parentSpanId: span.parentSpanId ?? "", flags: 0x103,
    name: span.name, kind: span.kind, attributes,
    startTimeUnixNano: nano(span.start), endTimeUnixNano: nano(performance.now()),
    status: span.error === null ? {} : { code: 2, message: span.error },
  });
  clearTimeout(sending);
  sending = setTimeout(send, 200);
}

/** @param {number} ms since the page's time origin */
const nano = (ms) => `${BigInt(Math.round((performance.timeOrigin + ms) * 1000)) * 1000n}`;

async function send() {
  if (ended.length === 0) return;
  const spans = ended.slice(-100);
  ended = [];
  const attribute = (/** @type {string} */ key, /** @type {string} */ of) => ({ key, value: { stringValue: of } });
  const body = JSON.stringify({ resourceSpans: [{
    resource: { attributes: [attribute("service.name", "storefront"), attribute("telemetry.sdk.language", "webjs")] },
    scopeSpans: [{ scope: { name: "storefront" }, spans }],
  }] });
  try {
    await fetch("/v1/traces", { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: true });
  } catch { /* as above */ }
}

// Whoever leaves the page for the trace leaves nothing of it behind.
addEventListener("pagehide", send);
