// Who calls whom.

import { get } from "./api.js";
import { choice, h, s } from "./dom.js";
import { colour, count, duration, figures } from "./format.js";

/**
 * @typedef {{ count: number, errors: number, total_nano: number, max_nano: number }} Traffic
 * @typedef {"service" | "database" | "peer"} Kind
 * @typedef {{ name: string, kind: Kind, traffic: Traffic }} GraphNode
 * @typedef {{ from: string, to: string, kind: Kind, traffic: Traffic }} Call
 * @typedef {{ seconds: number, nodes: GraphNode[], calls: Call[] }} Graph
 */

const WIDTH = 190;
const HEIGHT = 62;
const ACROSS = 175;
const DOWN = 30;
const PACE = 2000;

/**
 * @param {import("./main.js").Place} place
 * @returns {import("./main.js").View}
 */
export function showGraph({ main, parameters }) {
  const window = choice("seconds", "Time", [["60", "1 minute"], ["300", "5 minutes"], ["3600", "1 hour"], ["86400", "all that is held"]], parameters.get("seconds") ?? "300");
  const form = h("form", { class: "filters", "aria-label": "What to draw", onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, window);
  const picture = h("div", { class: "map" });
  const tables = h("div", { class: "cards" });
  const said = h("p", { class: "said" });
  main.append(h("h1", { class: "hidden" }, "Service map"), form, said, h("div", { class: "page" }, picture, tables));
  let timer = 0;
  let last = 0;
  let drawn = "";

  async function draw() {
    last = Date.now();
    const seconds = /** @type {HTMLSelectElement} */ (window.querySelector("select")).value;
    try {
      const graph = /** @type {Graph} */ (await get("/api/graph", { seconds }));
      const now = JSON.stringify(graph.nodes);
      said.textContent = graph.nodes.length === 0 ? "No traces in this time." : `Rates over the last ${duration(graph.seconds * 1e9)}.`;
      picture.hidden = graph.nodes.length === 0;
      tables.hidden = picture.hidden;
      picture.replaceChildren(svg(graph));
      if (now !== drawn) tables.replaceChildren(nodesTable(graph), callsTable(graph));
      drawn = now;
    } catch (error) {
      said.textContent = `${error}`;
    }
  }

  form.addEventListener("input", () => {
    const { value } = /** @type {HTMLSelectElement} */ (window.querySelector("select"));
    history.replaceState(null, "", `#/map?seconds=${value}`);
    draw();
  });
  draw();
  return {
    title: "Map",
    update: () => {
      clearTimeout(timer);
      timer = setTimeout(draw, Math.max(0, last + PACE - Date.now()));
    },
    leave: () => clearTimeout(timer),
  };
}

const keyOf = (/** @type {{ kind: Kind, name: string }} */ node) => `${node.kind}\n${node.name}`;
const rate = (/** @type {Traffic} */ traffic, /** @type {number} */ seconds) => `${figures(traffic.count / Math.max(seconds, 1))}/s`;
const failed = (/** @type {Traffic} */ traffic) => (traffic.errors ? `${figures((100 * traffic.errors) / traffic.count)} % failed` : "");
const mean = (/** @type {Traffic} */ traffic) => duration(traffic.total_nano / Math.max(traffic.count, 1));

/**
 * Where each node stands: a column for each call away from those whom nobody calls.
 *
 * @param {Graph} graph
 */
function layout(graph) {
  const column = new Map(graph.nodes.map((node) => [keyOf(node), 0]));
  // As often as there are nodes: cycles would go on for ever.
  for (let round = 0; round < graph.nodes.length; round += 1) {
    let moved = false;
    for (const call of graph.calls) {
      const from = column.get(keyOf({ kind: "service", name: call.from })) ?? 0;
      const to = keyOf({ kind: call.kind, name: call.to });
      if (call.from !== call.to && (column.get(to) ?? 0) <= from && from + 1 < graph.nodes.length) {
        column.set(to, from + 1);
        moved = true;
      }
    }
    if (!moved) break;
  }
  /** @type {GraphNode[][]} */
  const columns = [];
  for (const node of graph.nodes) (columns[column.get(keyOf(node)) ?? 0] ??= []).push(node);
  const filled = columns.filter(Boolean);
  const tallest = Math.max(...filled.map((nodes) => nodes.length));
  /** @type {Map<string, { x: number, y: number }>} */
  const places = new Map();
  filled.forEach((nodes, across) => {
    // Beside those who call them, as far as there is room.
    const height = (/** @type {GraphNode} */ node) => {
      const callers = graph.calls.filter((call) => call.kind === node.kind && call.to === node.name).map((call) => places.get(keyOf({ kind: "service", name: call.from }))?.y ?? 0);
      return callers.length ? callers.reduce((sum, y) => sum + y, 0) / callers.length : 0;
    };
    const sorted = nodes.map((node) => ({ node, at: height(node) })).sort((one, other) => one.at - other.at || (one.node.name < other.node.name ? -1 : 1));
    const top = 24 + ((tallest - nodes.length) * (HEIGHT + DOWN)) / 2;
    sorted.forEach(({ node }, down) => places.set(keyOf(node), { x: 24 + across * (WIDTH + ACROSS), y: top + down * (HEIGHT + DOWN) }));
  });
  return { places, width: 48 + filled.length * (WIDTH + ACROSS) - ACROSS, height: 48 + tallest * (HEIGHT + DOWN) - DOWN };
}

/** @param {Graph} graph */
function svg(graph) {
  if (graph.nodes.length === 0) return h("span");
  const { places, width, height } = layout(graph);
  const most = Math.max(...graph.calls.map((call) => call.traffic.count), 1);
  const edges = graph.calls.filter((call) => call.from !== call.to || call.kind !== "service").map((call) => {
    const from = places.get(keyOf({ kind: "service", name: call.from }));
    const to = places.get(keyOf({ kind: call.kind, name: call.to }));
    if (!from || !to) return null;
    const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
    const bend = Math.max(40, Math.abs(x2 - x1) / 2);
    const label = [rate(call.traffic, graph.seconds), failed(call.traffic)].filter(Boolean).join(" · ");
    return s("g", {},
      s("path", { class: `edge${call.traffic.errors ? " failing" : ""}`, d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`, "stroke-width": (1 + 3 * Math.sqrt(call.traffic.count / most)).toFixed(1) }),
      s("text", { class: `small edge-label${call.traffic.errors ? " bad" : ""}`, x: x2 - 8, y: y2 - 6, "text-anchor": "end" }, label));
  });
  const boxes = graph.nodes.map((node) => {
    const at = places.get(keyOf(node)) ?? { x: 0, y: 0 };
    const name = node.name.length > 22 ? `${node.name.slice(0, 21)}…` : node.name;
    const label = `${node.name}, ${node.kind}, ${rate(node.traffic, graph.seconds)}, ${failed(node.traffic) || "no errors"}, mean ${mean(node.traffic)}`;
    const box = s("g", { class: `node${node.kind === "service" ? "" : " other"}${node.traffic.errors ? " failing" : ""}`, transform: `translate(${at.x} ${at.y})` },
      s("title", {}, label),
      s("rect", { class: "box", width: WIDTH, height: HEIGHT, rx: 8 }),
      node.kind === "service" && s("rect", { width: 6, height: HEIGHT - 16, x: 8, y: 8, rx: 3, style: { fill: colour(node.name) } }),
      s("text", { x: 22, y: 24 }, name),
      s("text", { class: "small", x: 22, y: 41 }, `${node.kind === "service" ? "" : `${node.kind} · `}${rate(node.traffic, graph.seconds)} · ${mean(node.traffic)}`),
      node.traffic.errors > 0 && s("text", { class: "small bad", x: 22, y: 55 }, failed(node.traffic)));
    return node.kind === "service" ? s("a", { href: `#/traces?${new URLSearchParams({ service: node.name })}`, "aria-label": label }, box) : box;
  });
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Service map; the tables below say the same" }, edges, boxes);
}

/** @param {string} caption @param {string[]} head @param {import("./dom.js").Child[][]} rows */
function table(caption, head, rows) {
  return h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((value) => h("td", {}, value)))))));
}

/** @param {Graph} graph */
const nodesTable = (graph) => table("Services and what they use", ["", "Calls", "Rate", "Failed", "Mean", "Longest"], graph.nodes.map(({ name, traffic }) => [
  name, count(traffic.count), rate(traffic, graph.seconds), count(traffic.errors), mean(traffic), duration(traffic.max_nano)]));

/** @param {Graph} graph */
const callsTable = (graph) => table("Calls", ["", "Calls", "Rate", "Failed", "Mean", "Longest"], graph.calls.map(({ from, to, traffic }) => [
  `${from} → ${to}`, count(traffic.count), rate(traffic, graph.seconds), count(traffic.errors), mean(traffic), duration(traffic.max_nano)]));
