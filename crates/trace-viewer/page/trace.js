// One trace as a waterfall.

import { ApiError, getTagged } from "./api.js";
import { copyButton, field, h, put, settled } from "./dom.js";
import { colour, count, dateAndClock, duration, text } from "./format.js";
import { Rows } from "./rows.js";
import { spanDetails } from "./span.js";
import { chip } from "./traces.js";
import { treeOf } from "./tree.js";

/**
 * @typedef {import("./api.js").Trace} Trace
 * @typedef {import("./tree.js").Node} Node
 */

/**
 * @param {import("./main.js").Place} place
 * @returns {import("./main.js").View}
 */
export function showTrace({ main, id, parameters }) {
  /** @type {Trace | null} */
  let trace = null;
  /** @type {string | null} */
  let tag = null;
  /** @type {import("./tree.js").Tree} */
  let tree = treeOf([]);
  /** @type {Node[]} what is not hidden in a collapsed subtree */
  let shown = [];
  /** @type {Set<string>} */
  const collapsed = new Set();
  /** @type {Map<string, number>} how many log records each span wrote */
  let logs = new Map();
  let wanted = "";
  let busy = false;

  const title = h("div", { class: "trace-title" });
  const find = field("find", "Find in trace", "", { type: "search", placeholder: "name or value…" });
  const failedButton = h("button", { type: "button", onclick: nextError, title: "The next span that failed (E)" }, "Next error");
  const tools = h("div", { class: "trace-tools" }, find, failedButton,
    h("button", { type: "button", class: "quiet", onclick: () => { collapsed.clear(); arrange(); } }, "Expand all"),
    h("button", { type: "button", class: "quiet", onclick: () => {
      for (const node of tree.all) if (node.children.length > 0 && node.depth > 0) collapsed.add(node.span.span_id);
      arrange();
    } }, "Collapse all"));
  const ruler = h("div", { class: "ruler", "aria-hidden": "true" });
  const rows = new Rows({
    label: "Spans of the trace", role: "tree", name: "span", draw, key: (index) => shown[index].span.span_id,
    onOpen: (index) => open(shown[index]), onKey,
    onSelect: (index) => { if (!panel.hidden) open(shown[index]); },
  });
  const panel = h("section", { class: "panel", "aria-label": "Span", tabindex: "-1", hidden: true });
  const waterfall = h("div", { class: "waterfall" }, ruler, rows.element);
  const body = h("div", { class: "split" }, waterfall, panel);
  main.append(title, tools, body);

  // ---- the tree ----

  function arrange() {
    shown = [];
    /** @type {number} depth below which is hidden */
    let hidden = Infinity;
    for (const node of tree.all) {
      if (node.depth > hidden) continue;
      hidden = collapsed.has(node.span.span_id) ? node.depth : Infinity;
      shown.push(node);
    }
    rows.update(shown.length, (key) => shown.findIndex((node) => node.span.span_id === key));
  }

  /** @param {number} index */
  function draw(index) {
    const node = shown[index];
    const { span } = node;
    const failed = span.status.code === "error";
    const isOpen = !collapsed.has(span.span_id);
    const events = span.events.length;
    const written = logs.get(span.span_id) ?? 0;
    const label = `${span.service}: ${span.name}, ${span.kind}, ${duration(node.end - node.start)}, starts at ${duration(node.start)}`
      + `${failed ? `, failed${span.status.description ? `: ${span.status.description}` : ""}` : ""}`
      + `${events ? `, ${events} events` : ""}${written ? `, ${written} log records` : ""}${span.links.length ? `, ${span.links.length} links` : ""}`;
    const toggle = node.children.length > 0
      ? h("button", { type: "button", class: "toggle", tabindex: "-1", "aria-hidden": "true", onclick: () => setOpen(node, !isOpen) },
        isOpen ? "▾" : "▸")
      : h("span", { class: "toggle" });
    const row = h("div", {
      class: `span-row${failed ? " failed" : ""}${wanted && !matches(node) ? " dim" : ""}`, "aria-label": label, "aria-level": node.depth + 1,
      "aria-expanded": node.children.length > 0 ? String(isOpen) : null,
      style: { "--depth": Math.min(node.depth, 24), "--colour": colour(span.service) },
    },
    h("span", { class: "span-name" }, toggle, h("span", { class: "service" }, span.service), h("b", {}, span.name),
      failed && h("span", { class: "mark", title: span.status.description || "failed" }, "✕"),
      !isOpen && h("span", { class: "hidden-below", title: "spans below, hidden" }, `+${count(node.below)}`),
      !isOpen && node.errorsBelow > 0 && h("span", { class: "mark" }, `✕ ${count(node.errorsBelow)}`),
      node.parent === null && span.parent_span_id && span.parent_is_remote === false
        && h("i", { class: "note", title: `Its parent ${span.parent_span_id} is not here` }, "parent missing"),
      span.links.length > 0 && h("span", { class: "muted", title: "linked to another span" }, "⇄"),
      written > 0 && h("span", { class: "muted", title: "log records" }, `≡${written}`)),
    bar(node));
    return row;
  }

  /** @param {Node} node */
  function bar(node) {
    const at = (/** @type {number} */ time) => `${(100 * time / tree.length).toFixed(3)}%`;
    const late = node.end > tree.length * 0.75;
    const room = late && node.start < tree.length * 0.25;
    return h("span", { class: "track", "aria-hidden": "true" },
      h("span", { class: "bar", style: { left: at(node.start), width: at(node.end - node.start) } }),
      node.critical.map(([from, to]) => h("span", { class: "critical", title: "on the critical path", style: { left: at(from), width: at(to - from) } })),
      node.span.events.slice(0, 100).map((event) => {
        const time = Number(BigInt(event.time_unix_nano) - BigInt(tree.start));
        if (time < 0 || time > tree.length) return null;
        const error = event.name === "exception";
        return h("span", { class: `event${error ? " exception" : ""}`, title: `${event.name} at ${duration(time)}`, style: { left: at(time) } });
      }),
      h("span", {
        class: `length${late ? " before" : ""}${room ? " inside" : ""}`,
        style: room ? { left: at(node.start) } : late ? { right: at(tree.length - node.start) } : { left: at(node.end) },
      }, duration(node.end - node.start)));
  }

  /** @param {Node} node */
  function matches(node) {
    const { span } = node;
    const has = (/** @type {string} */ held) => held.toLowerCase().includes(wanted);
    return has(span.name) || has(span.service) || span.span_id === wanted
      || Object.entries(span.attributes).some(([key, value]) => has(key) || has(text(value)))
      || span.events.some((event) => has(event.name) || Object.values(event.attributes).some((value) => has(text(value))));
  }

  /** @param {Node} node @param {boolean} isOpen */
  function setOpen(node, isOpen) {
    if (isOpen) collapsed.delete(node.span.span_id);
    else collapsed.add(node.span.span_id);
    arrange();
  }

  /** @param {KeyboardEvent} event @param {number} index */
  function onKey(event, index) {
    const node = shown[index];
    if (event.key === "ArrowLeft") {
      if (node.children.length > 0 && !collapsed.has(node.span.span_id)) setOpen(node, false);
      else if (node.parent) rows.select(shown.indexOf(node.parent));
      return true;
    }
    if (event.key === "ArrowRight") {
      if (collapsed.has(node.span.span_id)) setOpen(node, true);
      else if (node.children.length > 0) rows.select(index + 1);
      return true;
    }
    return false;
  }

  /** @param {Node} node */
  function reveal(node) {
    for (let above = node.parent; above; above = above.parent) collapsed.delete(above.span.span_id);
    arrange();
    rows.select(shown.indexOf(node));
  }

  /** @param {(node: Node) => boolean} is */
  function next(is) {
    const current = tree.all.findIndex((node) => node.span.span_id === rows.current);
    const found = [...tree.all.slice(current + 1), ...tree.all.slice(0, current + 1)].find(is);
    if (found) {
      reveal(found);
      open(found);
    }
  }

  function nextError() {
    next((node) => node.span.status.code === "error");
  }

  // ---- the details ----

  /** @param {Node} node */
  function open(node) {
    if (!trace) return;
    panel.hidden = false;
    panel.replaceChildren(spanDetails(trace, tree, node, close));
    panel.scrollTop = 0;
    parameters.set("span", node.span.span_id);
    history.replaceState(null, "", `#/traces/${id}?${parameters}`);
    body.classList.add("open");
    rows.draw();
  }

  function close() {
    panel.hidden = true;
    body.classList.remove("open");
    parameters.delete("span");
    history.replaceState(null, "", `#/traces/${id}`);
    rows.draw();
    rows.focus();
  }

  // ---- the whole ----

  function drawTitle() {
    if (!trace) return;
    const root = tree.roots[0]?.span;
    const services = new Map();
    for (const { span } of tree.all) services.set(span.service, (services.get(span.service) ?? 0) + 1);
    const errors = tree.all.filter((node) => node.span.status.code === "error").length;
    document.title = `${root?.name ?? id} · Trace viewer`;
    failedButton.hidden = errors === 0;
    put(title,
      h("h1", {}, h("a", { class: "back", href: "#/traces", "aria-label": "All traces", title: "All traces (Esc)" }, "←"), root?.name ?? "Trace"),
      h("p", {},
        h("span", {}, duration(tree.length)), h("span", {}, `${count(tree.all.length)} spans`),
        h("span", { class: errors ? "bad" : "muted" }, errors ? `${count(errors)} failed` : "no errors"),
        root && h("span", { class: "muted" }, dateAndClock(tree.start)),
        h("span", { class: "mono muted" }, id, " ", copyButton(id, "Copy the trace id")),
        h("a", { href: `#/logs?trace_id=${id}` }, `${count(trace.logs.length)} log records`)),
      h("p", { class: "legend" }, [...services].map(([name, spans]) => h("span", { class: "legend-item" }, chip(name), h("span", { class: "muted" }, ` ${count(spans)}`))),
        h("span", { class: "legend-item muted" }, h("span", { class: "critical-key" }), " critical path")),
      trace.dropped_spans > 0 && h("p", { class: "warning" }, `${count(trace.dropped_spans)} more spans arrived and were not kept: the trace is at its limit.`),
      tree.roots.length > 1 && h("p", { class: "warning" }, `${count(tree.roots.length)} spans have no parent here: some are still on their way, or were never sent.`),
    );
    const ticks = [0, 0.25, 0.5, 0.75, 1];
    ruler.replaceChildren(h("span", { class: "span-name" }, "Span"),
      h("span", { class: "track" }, ticks.map((tick) => h("span", { class: `tick${tick === 1 ? " last" : ""}`, style: { left: `${tick * 100}%` } }, duration(tick * tree.length)))));
  }

  async function load() {
    if (busy) return;
    busy = true;
    try {
      const { document: read, tag: now } = await getTagged(`/api/traces/${id}`, {}, undefined, tag);
      if (read) {
        const first = trace === null;
        trace = /** @type {Trace} */ (read);
        tag = now;
        tree = treeOf(trace.spans);
        logs = new Map();
        for (const record of trace.logs) if (record.span_id) logs.set(record.span_id, (logs.get(record.span_id) ?? 0) + 1);
        drawTitle();
        arrange();
        if (first) begin();
      }
    } catch (error) {
      if (trace === null) {
        const gone = error instanceof ApiError && error.status === 404;
        title.replaceChildren(h("h1", {}, h("a", { class: "back", href: "#/traces", "aria-label": "All traces" }, "←"), gone ? "Not here" : "No answer"),
          h("p", {}, gone ? "This trace has not arrived yet, or has made room for newer ones. The page looks again whenever something arrives." : `${error}`),
          h("p", { class: "mono muted" }, id));
        tools.hidden = true;
        body.hidden = true;
      }
    }
    busy = false;
  }

  function begin() {
    tools.hidden = false;
    body.hidden = false;
    rows.focus();
    const node = tree.byId.get(parameters.get("span") ?? "");
    if (node) {
      reveal(node);
      open(node);
    } else if (shown.length > 0) rows.select(0);
  }

  const input = /** @type {HTMLInputElement} */ (find.querySelector("input"));
  input.addEventListener("input", settled(() => {
    wanted = input.value.trim().toLowerCase();
    rows.draw();
    if (wanted) {
      const found = tree.all.find(matches);
      if (found) reveal(found);
    }
  }, 150));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (wanted) next(matches);
    rows.focus();
  });

  tools.hidden = true;
  load();
  return {
    title: "Trace",
    update: load,
    leave: () => rows.leave(),
    go: (to) => {
      parameters = to;
      const node = tree.byId.get(to.get("span") ?? "");
      if (node) {
        reveal(node);
        open(node);
      }
    },
    key: (event) => {
      if (event.key === "Escape") {
        if (!panel.hidden) close();
        else location.hash = "#/traces";
        return true;
      }
      if (event.key === "e") {
        nextError();
        return true;
      }
      if (["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) {
        rows.focus();
        return true;
      }
      return false;
    },
  };
}
