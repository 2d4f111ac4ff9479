// What the viewer holds, what it could not hold, and how to send to it.

import { copyButton, h } from "./dom.js";
import { bytes, count } from "./format.js";

/** @type {[string, string, string][]} what, key of `held`, key of `limits` */
const HELD = [
  ["Traces", "traces", "traces"], ["Spans", "spans", ""], ["Bytes of traces", "trace_bytes", "trace_bytes"],
  ["Log records", "log_records", "log_records"], ["Bytes of log records", "log_bytes", "log_bytes"],
  ["Metric series", "metric_series", "metric_series"], ["Bytes of series", "metric_bytes", "metric_bytes"],
  ["Points over time", "history_points", ""], ["Bytes of points", "history_bytes", "history_bytes"],
];

/** @type {[string, string][]} */
const RECEIVED = [["Requests", "requests"], ["Spans", "spans"], ["Log records", "log_records"], ["Metric points", "metric_points"]];

/** @type {[string, string][]} */
const DROPPED = [
  ["Older traces that made room", "evicted_traces"], ["Spans in those", "evicted_spans"], ["Spans beyond the limit of their trace", "spans_over_limit"],
  ["Spans that were here already", "duplicate_spans"], ["Spans with no valid id", "invalid_spans"], ["Older log records that made room", "evicted_log_records"],
  ["Series that made room", "evicted_metric_series"], ["Older points over time that made room", "evicted_history_points"],
  ["Metric points without a value", "invalid_metric_points"], ["Requests that were refused", "refused_requests"],
];

/**
 * @param {import("./main.js").Place} place
 * @returns {import("./main.js").View}
 */
export function showHeld({ main, status }) {
  const tables = h("div", { class: "cards" });
  const page = h("div", { class: "page" }, h("h1", {}, "What is held"), tables, h("h2", {}, "Send to it"), howToSend());
  main.append(page);

  const shown = (/** @type {string} */ key, /** @type {number} */ value) => (key.endsWith("bytes") ? bytes(value) : count(value));

  function update() {
    const now = status();
    if (!now) return;
    const table = (/** @type {string} */ caption, /** @type {string[]} */ head, /** @type {(string | number)[][]} */ rows) => h("table", { class: "numbers" }, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((value) => h("td", {}, value))))));
    tables.replaceChildren(
      table("In memory", ["", "now", "at most"], HELD.map(([name, key, limit]) => [name, shown(key, now.held[key]), limit ? shown(limit, now.limits[limit]) : ""])),
      table("Received since the start", ["", ""], RECEIVED.map(([name, key]) => [name, count(now.received[key])])),
      table("Not kept, or not for long", ["", ""], DROPPED.map(([name, key]) => [name, count(now.dropped[key])])));
  }

  update();
  return { title: "What is held", update };
}

/** The variables that send a service's telemetry here. */
export function howToSend() {
  const lines = `OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`;
  return h("div", { class: "code" }, copyButton(lines, "Copy the variables"), h("pre", {}, lines));
}
