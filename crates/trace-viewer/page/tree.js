// A trace's spans as a tree, and what made it take as long as it did.

import { between } from "./format.js";

/**
 * A span with its place. Times are nanoseconds from the start of the trace.
 *
 * @typedef {object} Node
 * @property {import("./api.js").Span} span
 * @property {number} start
 * @property {number} end
 * @property {number} depth
 * @property {Node | null} parent
 * @property {Node[]} children by start
 * @property {number} below how many spans are below it
 * @property {number} errorsBelow how many of those failed
 * @property {[number, number][]} critical when the trace waited for this span and nothing below it
 *
 * @typedef {object} Tree
 * @property {Node[]} roots
 * @property {Node[]} all parents before children, as drawn
 * @property {Map<string, Node>} byId
 * @property {string} start in nanoseconds since the Unix epoch
 * @property {number} length in nanoseconds
 */

/**
 * The tree of these spans. Where parents are missing there are several roots; a cycle is cut open.
 *
 * @param {import("./api.js").Span[]} spans by start
 * @returns {Tree}
 */
export function treeOf(spans) {
  const start = spans[0]?.start_unix_nano ?? "0";
  /** @type {Map<string, Node>} */
  const byId = new Map();
  const nodes = spans.map((span) => {
    const from = between(span.start_unix_nano, start);
    const node = /** @type {Node} */ ({
      span, start: from, end: Math.max(from, between(span.end_unix_nano, start)), depth: 0, parent: null, children: [],
      below: 0, errorsBelow: 0, critical: [],
    });
    if (!byId.has(span.span_id)) byId.set(span.span_id, node);
    return node;
  });
  /** @type {Node[]} */
  const roots = [];
  for (const node of nodes) {
    const parent = node.span.parent_span_id ? byId.get(node.span.parent_span_id) : undefined;
    if (!parent || parent === node) roots.push(node);
    else {
      node.parent = parent;
      parent.children.push(node);
    }
  }
  const all = walk(roots);
  if (all.length < nodes.length) {
    // What no root reaches hangs on a cycle: its first span becomes a root, until all are reached.
    const reached = new Set(all);
    for (const node of nodes) {
      if (reached.has(node)) continue;
      if (node.parent) node.parent.children = node.parent.children.filter((child) => child !== node);
      node.parent = null;
      roots.push(node);
      for (const found of walk([node])) reached.add(found);
    }
    all.splice(0, all.length, ...walk(roots));
  }
  for (const node of [...all].reverse()) {
    if (!node.parent) continue;
    node.parent.below += 1 + node.below;
    node.parent.errorsBelow += (node.span.status.code === "error" ? 1 : 0) + node.errorsBelow;
  }
  const length = all.reduce((latest, node) => Math.max(latest, node.end), 1);
  if (roots[0]) markCritical(roots[0]);
  return { roots, all, byId, start, length };
}

/**
 * Parents before children, with their depths.
 *
 * @param {Node[]} roots
 */
function walk(roots) {
  /** @type {Node[]} */
  const all = [];
  const todo = [...roots].reverse();
  for (const root of roots) root.depth = 0;
  for (let node = todo.pop(); node; node = todo.pop()) {
    all.push(node);
    for (let index = node.children.length - 1; index >= 0; index -= 1) {
      node.children[index].depth = node.depth + 1;
      todo.push(node.children[index]);
    }
  }
  return all;
}

/**
 * Goes back from the end of the root: the child that ended last is what was waited for, then what
 * ended before that one began, and so on down. What outlives its parent was waited for until the
 * parent's end at most.
 *
 * @param {Node} root
 */
function markCritical(root) {
  /** @type {[Node, number][]} */
  const todo = [[root, root.end]];
  for (let next = todo.pop(); next; next = todo.pop()) {
    const [node, until] = next;
    let time = Math.min(until, node.end);
    const byEnd = [...node.children].sort((one, other) => other.end - one.end);
    for (const child of byEnd) {
      if (time <= node.start) break;
      if (child.start >= time || child.end <= node.start) continue;
      const end = Math.min(child.end, time);
      if (end < time) node.critical.push([end, time]);
      todo.push([child, end]);
      time = Math.max(child.start, node.start);
    }
    if (time > node.start) node.critical.push([node.start, time]);
  }
}
