// The log records.

import { get } from "./api.js";
import { choice, field, h, put, setOptions, settled } from "./dom.js";
import { clock, colour, count, dateAndClock, severity, text } from "./format.js";
import { pages } from "./pages.js";
import { Rows } from "./rows.js";
import { attributes, section } from "./span.js";
import { chip } from "./traces.js";

/** @typedef {import("./api.js").LogRecord} LogRecord */

const PAGE = 500;

const FILTERS = ["text", "service", "severity", "trace_id"];

/**
 * @param {import("./main.js").Place} place
 * @returns {import("./main.js").View}
 */
export function showLogs({ main, parameters }) {
  /** @type {LogRecord[]} the last to arrive first */
  let records = [];
  /** @type {Map<number, Record<string, import("./api.js").Value>>} */
  let resources = new Map();
  let newest = 0;
  let more = false;

  const values = () => Object.fromEntries(FILTERS.map((name) => [name, parameters.get(name) || null]));
  const value = (/** @type {string} */ name) => parameters.get(name) ?? "";
  const service = choice("service", "Service", [["", "all"]], value("service"));
  const form = h("form", { class: "filters", role: "search", "aria-label": "Filter log records", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
    field("text", "Find", value("text"), { type: "search", placeholder: "message or value…" }),
    service,
    choice("severity", "At least", [["", "all"], ["5", "debug"], ["9", "info"], ["13", "warn"], ["17", "error"]], value("severity")),
    field("trace_id", "Trace", value("trace_id"), { placeholder: "32 hex digits", class: "mono", pattern: "[0-9a-fA-F]{32}" }),
    h("button", { type: "reset", class: "quiet", onclick: (/** @type {Event} */ event) => {
      event.preventDefault();
      for (const input of form.querySelectorAll("input, select")) /** @type {HTMLInputElement} */ (input).value = "";
      apply();
    } }, "Clear"));
  const said = h("p", { class: "said", role: "status" });
  const rows = new Rows({
    label: "Log records, last one first", role: "listbox", name: "record", draw, key: (index) => String(records[index].sequence),
    onOpen: (index) => open(records[index]), onSelect: (index) => { if (!panel.hidden) open(records[index]); },
    onEnd: () => { if (more) list.next(); },
  });
  const panel = h("section", { class: "panel", "aria-label": "Log record", tabindex: "-1", hidden: true });
  const body = h("div", { class: "split" }, h("div", { class: "waterfall" }, rows.element), panel);
  main.append(h("h1", { class: "hidden" }, "Logs"), form, said, body);

  const timeOf = (/** @type {LogRecord} */ record) => (Number(record.time_unix_nano) === 0 ? record.observed_time_unix_nano : record.time_unix_nano);

  /** @param {number} index */
  function draw(index) {
    const record = records[index];
    const level = severity(record.severity_number);
    const message = text(record.body) || record.event_name;
    return h("div", { class: `log-row level-${level}`, style: { "--colour": colour(record.service) }, "aria-label": `${level}, ${record.service}, ${message}, ${clock(timeOf(record))}` },
      h("span", { class: "when", title: dateAndClock(timeOf(record)) }, clock(timeOf(record))),
      h("span", { class: `severity severity-${level}` }, level),
      chip(record.service),
      h("span", { class: "message" }, message, h("span", { class: "muted" }, Object.entries(record.attributes).slice(0, 6).map(([key, of]) => `  ${key}=${text(of)}`))),
      record.trace_id ? h("a", { href: `#/traces/${record.trace_id}${record.span_id ? `?span=${record.span_id}` : ""}`, tabindex: "-1" }, "trace") : h("span", {}));
  }

  /** @param {LogRecord} record */
  function open(record) {
    panel.hidden = false;
    body.classList.add("open");
    put(panel,
      h("header", { class: "panel-head" }, h("h2", {}, text(record.body) || record.event_name || "Log record"),
        h("button", { type: "button", class: "quiet close", "aria-label": "Close the details", onclick: close }, "✕")),
      h("p", { class: "facts" }, chip(record.service), h("span", { class: `severity severity-${severity(record.severity_number)}` }, record.severity_text || severity(record.severity_number)),
        h("span", { class: "muted" }, dateAndClock(timeOf(record)))),
      h("p", { class: "muted" }, record.scope.name, record.event_name ? ` · event ${record.event_name}` : ""),
      record.trace_id && h("p", {}, h("a", { href: `#/traces/${record.trace_id}${record.span_id ? `?span=${record.span_id}` : ""}` }, "Open its trace")),
      section(`Attributes (${Object.keys(record.attributes).length})`, true, attributes(record.attributes)),
      section("Resource", false, attributes(resources.get(record.sequence) ?? {})));
    panel.scrollTop = 0;
  }

  function close() {
    panel.hidden = true;
    body.classList.remove("open");
    rows.focus();
  }

  const placeOf = (/** @type {string} */ key) => records.findIndex((record) => String(record.sequence) === key);

  /** @param {{ records: LogRecord[], resources: { attributes: Record<string, import("./api.js").Value> }[] }} page */
  function learn(page) {
    for (const record of page.records) resources.set(record.sequence, page.resources[record.resource]?.attributes ?? {});
  }

  function say() {
    const filtered = Object.values(values()).some(Boolean);
    said.textContent = records.length === 0
      ? (filtered ? "No record that is held matches." : "No log records yet.")
      : `${count(records.length)}${more ? " and more" : ""} ${filtered ? "matching records" : "records"}`;
  }

  const list = pages({
    load: async (isWanted) => {
      const page = await get("/api/logs", { limit: PAGE, ...values() });
      if (!isWanted()) return;
      ({ records, more } = page);
      newest = records[0]?.sequence ?? 0;
      resources = new Map();
      learn(page);
      rows.update(records.length);
      say();
      said.classList.remove("wrong");
    },
    more: async (isWanted) => {
      const page = await get("/api/logs", { limit: PAGE, before: records.at(-1)?.sequence, ...values() });
      if (!isWanted()) return;
      learn(page);
      records.push(...page.records);
      more = page.more;
      rows.update(records.length, placeOf);
      say();
    },
    update: async (isWanted) => {
      const page = await get("/api/logs", { limit: PAGE, since: newest, ...values() });
      if (isWanted() && page.more) {
        // More came at once than a page: begin anew.
        await list.reload();
      } else if (isWanted() && page.records.length > 0) {
        learn(page);
        newest = page.records[0].sequence;
        records = [...page.records, ...records].filter((record) => record.sequence >= page.oldest);
        for (const sequence of resources.keys()) if (sequence < page.oldest) resources.delete(sequence);
        rows.update(records.length, placeOf);
        say();
      }
      return false;
    },
    settled: () => { if (more) rows.draw(); },
    failed: (error) => {
      said.textContent = `${error}`;
      said.classList.add("wrong");
    },
  });

  function apply() {
    for (const name of FILTERS) {
      const input = /** @type {HTMLInputElement} */ (form.querySelector(`[name="${name}"]`));
      if (input.value.trim() && input.checkValidity()) parameters.set(name, input.value.trim());
      else parameters.delete(name);
    }
    const search = parameters.toString();
    history.replaceState(null, "", search ? `#/logs?${search}` : "#/logs");
    rows.element.scrollTop = 0;
    rows.current = null;
    list.reload();
  }

  form.addEventListener("input", settled(apply, 200));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target instanceof HTMLSelectElement) return;
    event.preventDefault();
    rows.focus();
  });

  async function listServices() {
    const { services } = await get("/api/services");
    const select = /** @type {HTMLSelectElement} */ (service.querySelector("select"));
    setOptions(select, [["", "all"], ...services.map((/** @type {string} */ name) => [name, name])], select.value);
  }

  list.reload();
  listServices().catch(() => {});
  return {
    title: "Logs",
    update: list.refresh,
    leave: () => rows.leave(),
    key: (event) => {
      if (event.key === "Escape" && !panel.hidden) {
        close();
        return true;
      }
      if (!["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) return false;
      rows.focus();
      return true;
    },
  };
}
