// The viewer's JSON API.

/**
 * An attribute's value with its type, such as `{ "int": 200 }`; `"empty"` for none.
 * @typedef {"empty" | Record<string, any>} Value
 *
 * Numbers that JavaScript cannot hold, integers beyond 2^53 and all times, come as text.
 *
 * @typedef {object} TraceSummary
 * @property {string} trace_id
 * @property {string} root_service
 * @property {string} root_name
 * @property {string} start_unix_nano
 * @property {number} duration_nano
 * @property {number} span_count
 * @property {number} error_count
 * @property {string[]} services in the order in which they appear in the trace
 * @property {boolean} complete
 * @property {number} dropped_spans
 * @property {number} appeared
 *
 * @typedef {object} Span
 * @property {string} span_id
 * @property {string | null} parent_span_id
 * @property {boolean | null} parent_is_remote
 * @property {string} name
 * @property {string} kind
 * @property {string} service
 * @property {number} resource an index into the trace's resources
 * @property {{ name: string, version: string }} scope
 * @property {string} start_unix_nano
 * @property {string} end_unix_nano
 * @property {{ code: string, description?: string }} status
 * @property {Record<string, Value>} attributes
 * @property {{ time_unix_nano: string, name: string, attributes: Record<string, Value>,
 *   dropped_attributes_count: number }[]} events
 * @property {{ trace_id: string, span_id: string, attributes: Record<string, Value> }[]} links
 * @property {string} trace_state
 * @property {number} dropped_attributes_count
 * @property {number} dropped_events_count
 * @property {number} dropped_links_count
 *
 * @typedef {object} LogRecord
 * @property {string} time_unix_nano
 * @property {string} observed_time_unix_nano
 * @property {number} severity_number
 * @property {string} severity_text
 * @property {Value | null} body
 * @property {Record<string, Value>} attributes
 * @property {string} event_name
 * @property {string | null} trace_id
 * @property {string | null} span_id
 * @property {string} service
 * @property {number} resource
 * @property {{ name: string, version: string }} scope
 * @property {number} sequence
 *
 * @typedef {object} Trace
 * @property {string} trace_id
 * @property {{ attributes: Record<string, Value> }[]} resources
 * @property {Span[]} spans
 * @property {LogRecord[]} logs
 * @property {number} dropped_spans
 *
 * @typedef {object} Status
 * @property {Record<string, number>} held
 * @property {Record<string, number>} received
 * @property {Record<string, number>} dropped
 * @property {Record<string, number>} limits
 */

/** What the API said instead of an answer. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * A document of the API.
 *
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query] empty ones are left out
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, query = {}, signal) {
  return (await getTagged(path, query, signal)).document;
}

/**
 * A document with its entity tag; none where it is the one of the tag `known`.
 *
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} query
 * @param {AbortSignal} [signal]
 * @param {string | null} [known]
 * @returns {Promise<{ document: any, tag: string | null }>}
 */
export async function getTagged(path, query, signal, known) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  const headers = known ? { "If-None-Match": known } : {};
  const response = await fetch(search ? `${path}?${search}` : path, { signal, headers, cache: "no-store" });
  const tag = response.headers.get("etag");
  if (response.status === 304) return { document: null, tag };
  const text = await response.text();
  if (!response.ok) {
    let detail = response.statusText;
    try { detail = JSON.parse(text).detail ?? detail; } catch { /* the status must do */ }
    throw new ApiError(response.status, detail);
  }
  return { document: parse(text), tag };
}

/**
 * Reads JSON without rounding: 64-bit integers and times become text. The pattern matches no
 * string's content, since a quote within a string has a backslash before it.
 *
 * @param {string} text
 */
export function parse(text) {
  return JSON.parse(text.replace(/"(int|[a-z_]+_unix_nano)":(-?\d{15,})/g, '"$1":"$2"'));
}

/**
 * Follows the status of the viewer.
 *
 * @param {(status: Status) => void} onStatus
 * @param {(connected: boolean) => void} onConnection
 */
export function follow(onStatus, onConnection) {
  const source = new EventSource("/api/live");
  source.addEventListener("open", () => onConnection(true));
  source.addEventListener("error", () => {
    onConnection(false);
    // A refusal, unlike a broken connection, is not tried again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(onStatus, onConnection), 3000);
  });
  source.addEventListener("status", (event) => onStatus(parse(event.data)));
}
