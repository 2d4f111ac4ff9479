// The list of traces.

import { get } from "./api.js";
import { choice, field, h, setOptions, settled } from "./dom.js";
import { clock, colour, count, dateAndClock, duration } from "./format.js";
import { howToSend } from "./held.js";
import { pages } from "./pages.js";
import { Rows } from "./rows.js";

/** @typedef {import("./api.js").TraceSummary} TraceSummary */

/** Traces fetched at a time. */
const PAGE = 500;

const FILTERS = ["text", "service", "status", "min_ms", "attribute"];

/**
 * @param {import("./main.js").Place} place
 * @returns {import("./main.js").View}
 */
export function showTraces({ main, parameters }) {
  /** @type {TraceSummary[]} newest first */
  let traces = [];
  /** @type {string | null} */
  let cursor = null;
  /** @type {string | null} */
  let before = null;

  const values = () => Object.fromEntries(FILTERS.map((name) => [name, parameters.get(name) || null]));
  const value = (/** @type {string} */ name) => parameters.get(name) ?? "";
  const service = choice("service", "Service", [["", "all"]], value("service"));
  const form = h("form", { class: "filters", role: "search", "aria-label": "Filter traces", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
    field("text", "Find", value("text"), { type: "search", placeholder: "name, id, value…" }),
    service,
    choice("status", "Status", [["", "all"], ["error", "with errors"], ["ok", "without errors"]], value("status")),
    field("min_ms", "At least", value("min_ms"), { type: "number", min: "0", step: "any", placeholder: "ms", class: "short" }),
    field("attribute", "Attribute", value("attribute"), { placeholder: "key or key=value" }),
    h("button", { type: "reset", class: "quiet", onclick: (/** @type {Event} */ event) => {
      event.preventDefault();
      for (const input of form.querySelectorAll("input, select")) /** @type {HTMLInputElement} */ (input).value = "";
      apply();
    } }, "Clear"),
  );
  const said = h("p", { class: "said", role: "status" });
  const nothing = h("div", { class: "nothing" });
  const rows = new Rows({
    label: "Traces, newest first", role: "listbox", name: "trace", draw, key: (index) => traces[index].trace_id,
    onOpen: (index) => { location.hash = `#/traces/${traces[index].trace_id}`; },
    onEnd: () => { if (before) list.next(); },
  });
  const head = h("div", { class: "row trace-row row-head", "aria-hidden": "true" },
    h("span", { class: "when" }, "Start"), h("span", { class: "name" }, "Request"), h("span", { class: "services" }, "Services"),
    h("span", { class: "took" }, "Duration"), h("span", { class: "spans" }, "Spans"), h("span", { class: "errors" }, "Errors"));
  main.append(h("h1", { class: "hidden" }, "Traces"), form, said, head, rows.element, nothing);

  /** @param {number} index */
  function draw(index) {
    const trace = traces[index];
    const failed = trace.error_count > 0;
    const partly = !trace.complete;
    const label = `${trace.root_name || "no root yet"}, ${trace.services.join(" to ")}, ${duration(trace.duration_nano)}, `
      + `${trace.span_count} spans, ${failed ? `${trace.error_count} errors` : "no errors"}${partly ? ", not complete" : ""}, ${clock(trace.start_unix_nano)}`;
    return h("a", { class: `trace-row${failed ? " failed" : ""}`, href: `#/traces/${trace.trace_id}`, tabindex: "-1", "aria-label": label },
      h("span", { class: "when", title: dateAndClock(trace.start_unix_nano) }, clock(trace.start_unix_nano)),
      h("span", { class: "name" }, h("b", {}, trace.root_name || "no root yet"),
        partly && h("i", { class: "note", title: "Spans are missing: still on their way, or never sent" }, "partial")),
      h("span", { class: "services" }, trace.services.slice(0, 6).map((name) => chip(name)),
        trace.services.length > 6 && h("span", { class: "muted" }, `+${trace.services.length - 6}`)),
      h("span", { class: "took" }, h("span", { class: "meter", style: { "--share": share(trace.duration_nano) } }), duration(trace.duration_nano)),
      h("span", { class: "spans" }, count(trace.span_count), h("span", { class: "unit" }, " spans")),
      h("span", { class: "errors" }, failed ? h("span", { class: "badge" }, `${count(trace.error_count)}`, h("span", { class: "unit" }, " failed")) : ""),
    );
  }

  function say() {
    const filtered = Object.values(values()).some(Boolean);
    said.textContent = traces.length === 0 ? "" : `${count(traces.length)}${before ? " and more" : ""} ${filtered ? "matching traces" : "traces"}`;
    nothing.hidden = traces.length > 0 || cursor === null;
    head.hidden = traces.length === 0;
    rows.element.hidden = traces.length === 0;
    if (nothing.hidden) return;
    nothing.replaceChildren(...(filtered
      ? [h("p", {}, "No trace that is held matches.")]
      : [h("p", {}, "No traces yet. They appear here as they arrive."), howToSend()]));
  }

  const placeOf = (/** @type {string} */ id) => traces.findIndex((trace) => trace.trace_id === id);

  const list = pages({
    load: async (isWanted) => {
      const page = await get("/api/traces", { limit: PAGE, ...values() });
      if (!isWanted()) return;
      ({ traces, cursor, before } = page);
      rows.update(traces.length);
      say();
      said.classList.remove("wrong");
    },
    more: async (isWanted) => {
      const page = await get("/api/traces", { limit: PAGE, before, ...values() });
      if (!isWanted()) return;
      const known = new Set(traces.map((trace) => trace.trace_id));
      traces.push(...page.traces.filter((/** @type {TraceSummary} */ trace) => !known.has(trace.trace_id)));
      before = page.before;
      rows.update(traces.length, placeOf);
      say();
    },
    update: async (isWanted) => {
      const changes = await get("/api/traces", { since: cursor, limit: PAGE, ...values() });
      if (!isWanted()) return false;
      cursor = changes.cursor;
      merge(changes);
      return changes.traces.length + changes.left.length >= PAGE;
    },
    settled: () => { if (before) rows.draw(); },
    failed: (error) => {
      said.textContent = `${error}`;
      said.classList.add("wrong");
    },
  });

  /** @param {{ traces: TraceSummary[], left: string[], oldest: number }} changes */
  function merge(changes) {
    const gone = new Set([...changes.left, ...changes.traces.map((trace) => trace.trace_id)]);
    const last = traces.at(-1);
    const kept = traces.filter((trace) => !gone.has(trace.trace_id) && trace.appeared >= changes.oldest);
    // What is older than the pages fetched so far comes with its page.
    const fresh = before && last
      ? changes.traces.filter((trace) => BigInt(trace.start_unix_nano) >= BigInt(last.start_unix_nano))
      : changes.traces;
    if (kept.length === traces.length && fresh.length === 0) return;
    traces = [...fresh, ...kept].sort((one, other) => compare(other, one));
    rows.update(traces.length, placeOf);
    say();
  }

  function apply() {
    for (const name of FILTERS) {
      const input = /** @type {HTMLInputElement} */ (form.querySelector(`[name="${name}"]`));
      if (input.value.trim()) parameters.set(name, input.value.trim());
      else parameters.delete(name);
    }
    const search = parameters.toString();
    history.replaceState(null, "", search ? `#/traces?${search}` : "#/traces");
    rows.element.scrollTop = 0;
    rows.current = null;
    list.reload();
  }

  form.addEventListener("input", settled(apply, 200));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      if (event.target instanceof HTMLSelectElement) return;
      event.preventDefault();
      rows.focus();
    }
  });

  async function listServices() {
    const { services } = await get("/api/services");
    const select = /** @type {HTMLSelectElement} */ (service.querySelector("select"));
    setOptions(select, [["", "all"], ...services.map((/** @type {string} */ name) => [name, name])], select.value);
  }

  list.reload();
  listServices().catch(() => {});
  return {
    title: "Traces",
    update: () => (cursor === null ? list.reload() : list.refresh()),
    leave: () => rows.leave(),
    go: (next) => {
      parameters = next;
      for (const name of FILTERS) {
        const input = /** @type {HTMLInputElement} */ (form.querySelector(`[name="${name}"]`));
        input.value = next.get(name) ?? "";
      }
      list.reload();
    },
    key: (event) => {
      if (event.key === "Escape" || !["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) return false;
      rows.focus();
      return true;
    },
  };
}

/** @param {TraceSummary} one @param {TraceSummary} other */
function compare(one, other) {
  if (one.start_unix_nano !== other.start_unix_nano) {
    return BigInt(one.start_unix_nano) < BigInt(other.start_unix_nano) ? -1 : 1;
  }
  return one.trace_id < other.trace_id ? -1 : 1;
}

/**
 * A service's name beside its colour.
 *
 * @param {string} service
 */
export function chip(service) {
  return h("span", { class: "chip", style: { "--colour": colour(service) } }, service);
}

/** A duration's part of a bar: 10 µs is nothing, 10 s is all; each tenfold adds as much. */
const share = (/** @type {number} */ nano) => Math.max(0.02, Math.min(1, (Math.log10(Math.max(nano, 1)) - 4) / 6)).toFixed(3);
