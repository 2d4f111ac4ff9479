// The page's frame: which view is shown, whether it follows, what is held.

import { follow, get } from "./api.js";
import { h } from "./dom.js";
import { bytes, count, nameServices } from "./format.js";
import { showTraces } from "./traces.js";
import { showTrace } from "./trace.js";
import { showLogs } from "./logs.js";
import { showMetrics } from "./metrics.js";
import { showGraph } from "./graph.js";
import { showHeld } from "./held.js";
import { switchThemes } from "./theme.js";

/**
 * What is shown. A view lives until the address names another one.
 *
 * @typedef {object} View
 * @property {string} title
 * @property {() => void} [update] something has arrived
 * @property {() => void} [leave]
 * @property {(event: KeyboardEvent) => boolean} [key] whether it took the key
 * @property {(parameters: URLSearchParams) => void} [go] the address changed, the view stays
 *
 * @typedef {object} Place
 * @property {HTMLElement} main where to show it
 * @property {string} id what of, such as a trace's id; may be empty
 * @property {URLSearchParams} parameters
 * @property {() => import("./api.js").Status | null} status
 */

/** @type {Record<string, (place: Place) => View>} */
const VIEWS = {
  traces: (place) => (place.id ? showTrace(place) : showTraces(place)),
  logs: showLogs,
  metrics: showMetrics,
  map: showGraph,
  held: showHeld,
};
const NUMBERS = ["traces", "logs", "metrics", "map"];

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const liveButton = /** @type {HTMLButtonElement} */ (document.getElementById("live"));
const themeButton = /** @type {HTMLButtonElement} */ (document.getElementById("theme"));
const held = /** @type {HTMLElement} */ (document.getElementById("held"));
const keys = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));

/** @type {View | null} */
let view = null;
let shown = "";
/** @type {import("./api.js").Status | null} */
let status = null;
let connected = false;
let live = true;

// ---- where ----

function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", id = ""] = path.split("/");
  const parameters = new URLSearchParams(search);
  const known = name in VIEWS ? name : "traces";
  if (view?.go && shown === `${known}/${id}`) {
    view.go(parameters);
    return;
  }
  view?.leave?.();
  main.replaceChildren();
  main.className = `view-${known}${id ? "-one" : ""}`;
  view = VIEWS[known]({ main, id: decodeURIComponent(id), parameters, status: () => status });
  shown = `${known}/${id}`;
  document.title = `${view.title} · Trace viewer`;
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("href") === `#/${known}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// ---- what arrives ----

function tell() {
  liveButton.textContent = live ? (connected ? "Live" : "Reconnecting") : "Paused";
  liveButton.setAttribute("aria-pressed", String(live));
  liveButton.dataset.state = live ? (connected ? "live" : "lost") : "paused";
  if (!status) return;
  const { held: of, dropped } = status;
  const lost = dropped.evicted_traces + dropped.spans_over_limit + dropped.evicted_log_records + dropped.evicted_metric_series
    + dropped.invalid_spans + dropped.invalid_metric_points + dropped.refused_requests;
  held.replaceChildren(
    `${count(of.traces)} traces, ${count(of.spans)} spans, ${count(of.log_records)} log records held`,
    h("span", { class: "muted" }, ` · ${bytes(of.trace_bytes + of.log_bytes + of.metric_bytes + of.history_bytes)}`),
    dropped.evicted_traces ? h("span", {}, ` · ${count(dropped.evicted_traces)} older traces made room`) : "",
    lost > dropped.evicted_traces ? h("span", { class: "muted" }, " · more that is not held") : "",
  );
}

let asked = 0;
async function learnServices() {
  if (Date.now() - asked < 5000) return;
  asked = Date.now();
  try {
    nameServices((await get("/api/services")).services);
  } catch { /* the stream tells that the viewer is gone */ }
}

liveButton.addEventListener("click", () => {
  live = !live;
  tell();
  if (live) view?.update?.();
});

// ---- keys ----

document.getElementById("help")?.addEventListener("click", () => keys.showModal());

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (typing) /** @type {HTMLElement} */ (event.target).blur();
    if (view?.key?.(event)) event.preventDefault();
    return;
  }
  if (typing) return;
  const digit = NUMBERS[Number(event.key) - 1];
  if (event.key === "/") main.querySelector("input")?.focus();
  else if (event.key === "?") keys.showModal();
  else if (event.key === "p") liveButton.click();
  else if (digit) location.hash = `#/${digit}`;
  else if (!view?.key?.(event)) return;
  event.preventDefault();
});

// ---- begin ----

switchThemes(themeButton);
window.addEventListener("hashchange", route);
learnServices().then(() => {
  route();
  follow((news) => {
    status = news;
    tell();
    learnServices();
    if (live) view?.update?.();
  }, (is) => {
    connected = is;
    tell();
  });
});
