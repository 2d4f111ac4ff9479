// Calls of the services, each a span of the trace that a click began.

import { begin, end, traceparent, unrecorded } from "./spans.js";

/** What a service said instead of what was asked for. */
export class Refusal extends Error {
  /** @param {number} status 0 where there was no answer @param {any} problem */
  constructor(status, problem) {
    super(problem?.detail ?? (status ? `The service answered ${status}.` : "The service does not answer."));
    this.status = status;
    this.code = problem?.code ?? (status ? `http_${status}` : "no_answer");
    this.problem = problem;
  }
}

/**
 * Calls a service and answers its JSON.
 *
 * @param {string} method
 * @param {string} base the service's address
 * @param {string} path the path, which is the same for every caller, and so names the span; `{id}` stands for `id`
 * @param {object} [options]
 * @param {import("./spans.js").Span | null} [options.parent] none: this call leaves no trace
 * @param {string} [options.id]
 * @param {string} [options.query]
 * @param {string | null} [options.token] the access token
 * @param {any} [options.body]
 * @returns {Promise<any>}
 */
export async function call(method, base, path, { parent = null, id = "", query = "", token = null, body } = {}) {
  const url = `${base}${path.replace("{id}", encodeURIComponent(id))}`;
  const span = parent && begin(`${method} ${path}`, parent, 3);
  /** @type {Record<string, string>} */
  const headers = { traceparent: span ? traceparent(span) : unrecorded() };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await answer(fetch(`${url}${query}`, {
      method, headers, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body),
    }), span);
  } catch (error) {
    if (span) {
      span.error = error instanceof Refusal ? error.code : "no_answer";
      span.attributes["error.type"] = error instanceof Refusal && error.status ? String(error.status) : "connect";
    }
    throw error;
  } finally {
    if (span) {
      const { hostname, port } = new URL(base);
      Object.assign(span.attributes, {
        "http.request.method": method, "url.template": path, "url.full": url,
        "server.address": hostname, "server.port": Number(port),
      });
      end(span);
    }
  }
}

/**
 * @param {Promise<Response>} asked
 * @param {import("./spans.js").Span | null} span
 */
async function answer(asked, span) {
  let response;
  try {
    response = await asked;
  } catch {
    throw new Refusal(0, null);
  }
  if (span) span.attributes["http.response.status_code"] = response.status;
  let document = null;
  try { document = await response.json(); } catch { /* the status must do */ }
  if (!response.ok) throw new Refusal(response.status, document);
  return document;
}
