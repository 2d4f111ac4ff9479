// All that is known of one span.

import { copyButton, h } from "./dom.js";
import { between, clock, duration, severity, sql, text, type } from "./format.js";
import { chip } from "./traces.js";

/**
 * @typedef {import("./api.js").Value} Value
 * @typedef {import("./tree.js").Node} Node
 */

const STATEMENT = ["db.query.text", "db.statement"];

/**
 * @param {import("./api.js").Trace} trace
 * @param {import("./tree.js").Tree} tree
 * @param {Node} node
 * @param {() => void} close
 */
export function spanDetails(trace, tree, node, close) {
  const { span } = node;
  const logs = trace.logs.filter((record) => record.span_id === span.span_id);
  const exceptions = span.events.filter((event) => event.name === "exception");
  const statement = STATEMENT.find((key) => key in span.attributes);
  const dropped = [[span.dropped_attributes_count, "attributes"], [span.dropped_events_count, "events"], [span.dropped_links_count, "links"]]
    .filter(([number]) => number).map(([number, what]) => `${number} ${what}`);
  const own = node.end - node.start - covered(node);
  const content = h("div", {},
    h("header", { class: "panel-head" },
      h("h2", {}, span.name),
      h("button", { type: "button", class: "quiet close", "aria-label": "Close the details", title: "Close (Esc)", onclick: close }, "✕")),
    h("p", { class: "facts" }, chip(span.service), h("span", {}, span.kind), h("span", {}, duration(node.end - node.start)),
      h("span", { class: "muted" }, `${duration(own)} of its own`), h("span", { class: "muted" }, `from ${duration(node.start)}`)),
    span.status.code === "error" && h("p", { class: "failure" }, h("b", {}, "Failed"), span.status.description ? ` ${span.status.description}` : ""),
    exceptions.map((event) => exception(event, tree.start)),
    statement && section("Statement", true, query(text(span.attributes[statement]))),
    section(`Attributes (${Object.keys(span.attributes).length})`, true, attributes(span.attributes, statement ? [statement] : [])),
    span.events.length > exceptions.length && section(`Events (${span.events.length - exceptions.length})`, true,
      span.events.filter((event) => event.name !== "exception").map((event) => happening(event, tree.start))),
    logs.length > 0 && section(`Log records (${logs.length})`, true, logs.map((record) => logRecord(record, tree.start))),
    span.links.length > 0 && section(`Links (${span.links.length})`, true, span.links.map((link) => h("div", { class: "item" },
      h("a", { class: "mono", href: `#/traces/${link.trace_id}?span=${link.span_id}` }, link.trace_id === trace.trace_id ? `span ${link.span_id}` : `trace ${link.trace_id}`),
      attributes(link.attributes)))),
    dropped.length > 0 && h("p", { class: "warning" }, `The sender dropped ${dropped.join(", ")}.`),
    section("Resource", false, attributes(trace.resources[span.resource]?.attributes ?? {})),
    section("Identity", false, table([
      ["span id", span.span_id], ["parent", span.parent_span_id ?? "none"], ["trace", trace.trace_id],
      ["scope", `${span.scope.name} ${span.scope.version}`], ["tracestate", span.trace_state || "none"],
      ["start", clock(span.start_unix_nano)], ["end", clock(span.end_unix_nano)],
    ])),
  );
  return content;
}

/** How much of a span's time its children cover, each moment once. */
function covered(/** @type {Node} */ node) {
  let total = 0;
  let reached = node.start;
  for (const child of node.children) {
    const from = Math.max(child.start, reached);
    const to = Math.min(child.end, node.end);
    if (to > from) {
      total += to - from;
      reached = to;
    }
  }
  return total;
}

/**
 * @param {string} title
 * @param {boolean} open
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
 */
export function section(title, open, ...children) {
  return h("details", { class: "section", open }, h("summary", {}, title), ...children);
}

/**
 * @param {Record<string, Value>} of
 * @param {string[]} [without]
 */
export function attributes(of, without = []) {
  const rows = Object.entries(of).filter(([key]) => !without.includes(key));
  if (rows.length === 0) return h("p", { class: "muted" }, "none");
  return h("table", { class: "attributes" }, h("tbody", {}, rows.map(([key, value]) => h("tr", {},
    h("th", { scope: "row" }, breakable(key)), h("td", { title: type(value) }, text(value))))));
}

/**
 * A dotted name that breaks after its dots and underscores, rather than within a word.
 *
 * @param {string} name
 */
const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [h("wbr"), part]).slice(1);

/** @param {[string, string][]} rows */
function table(rows) {
  return h("table", { class: "attributes" }, h("tbody", {}, rows.map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", { class: "mono" }, value)))));
}

/** @param {string} statement */
function query(statement) {
  return h("div", { class: "code" }, copyButton(statement, "Copy the statement"),
    h("pre", { class: "sql" }, sql(statement).map((part) => (part.keyword ? h("b", {}, part.text) : part.text))));
}

/** The type and message of an error, and the chain of its causes. */
function exception(/** @type {import("./api.js").Span["events"][0]} */ event, /** @type {string} */ start) {
  const of = event.attributes;
  const stack = text(of["exception.stacktrace"]);
  const others = Object.fromEntries(Object.entries(of).filter(([key]) => !key.startsWith("exception.")));
  return h("div", { class: "exception-box" },
    h("p", {}, h("b", {}, text(of["exception.type"]) || "exception"), h("span", { class: "muted" }, ` at ${duration(Math.max(0, between(event.time_unix_nano, start)))}`)),
    h("p", {}, text(of["exception.message"])),
    stack && h("details", { class: "causes", open: stack.split("\n").length <= 12 }, h("summary", {}, "Causes and trace"), h("pre", {}, stack)),
    Object.keys(others).length > 0 && attributes(others));
}

function happening(/** @type {import("./api.js").Span["events"][0]} */ event, /** @type {string} */ start) {
  return h("div", { class: "item" }, h("p", {}, h("b", {}, event.name), h("span", { class: "muted" }, ` at ${duration(Math.max(0, between(event.time_unix_nano, start)))}`)),
    Object.keys(event.attributes).length > 0 && attributes(event.attributes));
}

/**
 * @param {import("./api.js").LogRecord} record
 * @param {string} start
 */
function logRecord(record, start) {
  const time = record.time_unix_nano === "0" || Number(record.time_unix_nano) === 0 ? record.observed_time_unix_nano : record.time_unix_nano;
  return h("div", { class: "item" },
    h("p", {}, h("span", { class: `severity severity-${severity(record.severity_number)}` }, severity(record.severity_number)), " ", text(record.body) || record.event_name,
      h("span", { class: "muted" }, ` at ${duration(Math.max(0, between(time, start)))}`)),
    Object.keys(record.attributes).length > 0 && attributes(record.attributes));
}
