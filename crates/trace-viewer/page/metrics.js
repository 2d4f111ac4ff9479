// What the services measure, over time.

import { get } from "./api.js";
import { choice, h, setOptions } from "./dom.js";
import { colour, count, duration, figures, measured, text } from "./format.js";
import { Plot } from "./plot.js";

/**
 * @typedef {object} Series
 * @property {string} service
 * @property {Record<string, import("./api.js").Value>} attributes
 * @property {(number | null)[]} values
 * @property {(number | null)[]} errors
 * @property {(number | null)[]} p50
 * @property {(number | null)[]} p95
 * @property {(number | null)[]} p99
 * @property {{ value: number, errors: number, p50: number | null, p95: number | null, p99: number | null }} totals
 * @property {{ value: number, trace_id: string, span_id: string | null }[]} exemplars
 *
 * @typedef {object} SeriesList
 * @property {string} unit
 * @property {"gauge" | "level" | "rate" | "distribution" | null} kind
 * @property {number[]} times
 * @property {Series[]} series
 * @property {number} omitted
 *
 * @typedef {object} Instrument
 * @property {string} name
 * @property {string} description
 * @property {string} unit
 * @property {string[]} services
 * @property {number} series
 */

const REQUESTS = "http.server.request.duration";
const STATEMENTS = "db.client.operation.duration";

/** Metrics shown where a service sends them: name, title, attributes that tell lines apart. */
const MORE = [
  ["db.client.connection.count", "Connections of the pool", "db.client.connection.state"],
  ["db.client.connection.wait_time", "Wait for a connection", ""],
  ["process.cpu.time", "Processor time", "cpu.mode"],
  ["process.memory.usage", "Memory", ""],
  ["tokio.alive_tasks", "Tasks", ""],
  ["tokio.worker.busy_duration", "Busy workers", ""],
];

/** How often, while something arrives, the plots are drawn anew: services send every few seconds. */
const PACE = 2500;

const perSecond = (/** @type {number | null} */ value) => (value === null || value === undefined ? "–" : `${value === 0 ? "0" : figures(value)}/s`);
const seconds = (/** @type {number | null} */ value) => (value === null || value === undefined ? "–" : duration(value * 1e9));

/**
 * @param {import("./main.js").Place} place
 * @returns {import("./main.js").View}
 */
export function showMetrics({ main, parameters }) {
  const service = choice("service", "Service", [["", "all"]], parameters.get("service") ?? "");
  const window = choice("seconds", "Time", [["300", "5 minutes"], ["900", "15 minutes"], ["3600", "1 hour"], ["21600", "6 hours"]], parameters.get("seconds") ?? "300");
  const metric = choice("metric", "Any metric", [["", "choose…"]], parameters.get("metric") ?? "");
  const form = h("form", { class: "filters", "aria-label": "What to plot", onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, service, window, metric);
  const page = h("div", { class: "page" });
  main.append(h("h1", { class: "hidden" }, "Metrics"), form, page);

  const select = (/** @type {HTMLElement} */ label) => /** @type {HTMLSelectElement} */ (label.querySelector("select"));
  /** @type {Plot[]} */
  let plots = [];
  /** @type {() => Promise<void>} */
  let refresh = async () => {};
  let timer = 0;
  let last = 0;
  let busy = false;

  /** @param {string} name @param {string | null} by @param {string} [only] @returns {Promise<SeriesList>} */
  const series = (name, by, only) => get("/api/metrics/series", {
    name, by, only, service: select(service).value || null, seconds: select(window).value,
  });

  /** @param {string} title @param {(value: number | null) => string} format @param {{ gaps?: boolean }} [options] */
  function plot(title, format, options) {
    const made = new Plot(title, format, options);
    plots.push(made);
    return made;
  }

  /** What tells a group from others, in words. */
  const nameOf = (/** @type {Series} */ group) => {
    const values = Object.values(group.attributes).map(text);
    return select(service).value ? values.join(" ") || group.service : [group.service, ...values].join(" ");
  };
  const lineColour = (/** @type {Series} */ group, /** @type {number} */ index) => (Object.keys(group.attributes).length === 0 ? colour(group.service) : `var(--s${index % 10})`);

  // ---- what every service has ----

  function overview() {
    const of = select(service).value;
    const rate = plot(of ? "Requests by route" : "Requests", perSecond);
    const errors = plot(of ? "Failed requests by route" : "Failed requests", perSecond);
    const latency = plot(of ? "Duration of requests" : "Duration of requests, 95th percentile", seconds, { gaps: false });
    const table = h("div", { class: "scroll" });
    const slow = h("p", { class: "muted" });
    const statements = plot("Duration of SQL statements, 95th percentile", seconds, { gaps: false });
    const more = MORE.map(([name, title, by]) => {
      const made = plot(title, () => "", { gaps: false });
      return { name, by, made };
    });
    page.replaceChildren(
      h("div", { class: "cards" }, rate.element, errors.element, latency.element),
      h("h2", {}, "Routes"), table, slow,
      h("h2", {}, "Database and process"),
      h("div", { class: "cards" }, statements.element, more.map(({ made }) => made.element)));
    refresh = async () => {
      const [grouped, byRoute, queries, ...others] = await Promise.all([
        series(REQUESTS, ""), series(REQUESTS, "http.request.method,http.route"), series(STATEMENTS, ""), ...more.map(({ name, by }) => series(name, by))]);
      const lines = of ? byRoute : grouped;
      rate.show(lines.times, lines.series.map((group, index) => ({ label: nameOf(group), colour: lineColour(group, index), values: group.values })));
      errors.show(lines.times, lines.series.filter((group) => !of || group.totals.errors > 0)
        .map((group, index) => ({ label: nameOf(group), colour: lineColour(group, index), values: group.errors })));
      const one = grouped.series[0];
      latency.show(grouped.times, of && one
        ? [{ label: "median", colour: "var(--s1)", values: one.p50 }, { label: "95th", colour: "var(--s0)", values: one.p95 }, { label: "99th", colour: "var(--s6)", values: one.p99 }]
        : grouped.series.map((group) => ({ label: group.service, colour: colour(group.service), values: group.p95 })));
      statements.show(queries.times, queries.series.map((group) => ({ label: group.service, colour: colour(group.service), values: group.p95 })));
      table.replaceChildren(routes(byRoute));
      const exemplars = grouped.series.flatMap((group) => group.exemplars).sort((a, b) => b.value - a.value).slice(0, 5);
      slow.replaceChildren(...(exemplars.length ? ["Slow ones: ", ...exemplars.flatMap((of, index) => [index ? ", " : "",
        h("a", { href: `#/traces/${of.trace_id}${of.span_id ? `?span=${of.span_id}` : ""}` }, seconds(of.value))])] : []));
      more.forEach(({ made }, index) => {
        made.element.hidden = others[index].kind === null;
        show(made, others[index]);
      });
    };
  }

  /** @param {SeriesList} list */
  function routes(list) {
    // Over the steps that are told of: a service may be younger than the time asked for.
    const mean = (/** @type {Series} */ group) => {
      const told = group.values.filter((value) => value !== null);
      return told.length ? told.reduce((sum, value) => sum + value, 0) / told.length : null;
    };
    return h("table", { class: "numbers" },
      h("caption", { class: "hidden" }, "Routes"),
      h("thead", {}, h("tr", {}, ["Route", "Requests", "Rate", "Failed", "Median", "95th", "99th"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, list.series.map((group) => {
        const { value, errors, p50, p95, p99 } = group.totals;
        const method = text(group.attributes["http.request.method"]);
        const route = text(group.attributes["http.route"]) || "no route";
        const search = new URLSearchParams({ service: group.service, text: `${method} ${route}` });
        return h("tr", {}, h("th", { scope: "row" }, h("a", { href: `#/traces?${search}` }, `${method} ${route}`), h("span", { class: "muted" }, ` ${group.service}`)),
          h("td", {}, count(value)), h("td", {}, perSecond(mean(group))),
          h("td", { class: errors >= 0.5 ? "bad" : "muted" }, errors >= 0.5 ? `${figures((100 * errors) / value)} %` : "0"),
          h("td", {}, seconds(p50)), h("td", {}, seconds(p95)), h("td", {}, seconds(p99)));
      })));
  }

  // ---- any metric ----

  /** @param {Plot} made @param {SeriesList} list */
  function show(made, list) {
    const rates = list.kind === "rate" || list.kind === "distribution";
    const share = list.kind === "rate" && ["s", "ms"].includes(list.unit);
    const scale = share && list.unit === "ms" ? 1e-3 : 1;
    made.format = (value) => (value === null || value === undefined ? "–"
      : list.kind === "distribution" ? measured(value, list.unit)
        : share ? figures(value) : rates ? `${measured(value, list.unit)}/s` : measured(value, list.unit));
    made.show(list.times, list.series.map((group, index) => ({
      label: nameOf(group), colour: lineColour(group, index),
      values: (list.kind === "distribution" ? group.p95 : group.values).map((value) => (value === null ? null : value * scale)),
    })));
  }

  /** @param {string} name */
  async function explorer(name) {
    const { instruments } = await get("/api/metrics/instruments");
    const instrument = /** @type {Instrument | undefined} */ (instruments.find((/** @type {Instrument} */ of) => of.name === name));
    const main = plot(name, (value) => measured(value, instrument?.unit ?? ""), { gaps: false });
    const rate = plot("Measurements", perSecond);
    const note = h("p", { class: "muted" });
    page.replaceChildren(
      h("p", {}, h("b", {}, name), ` ${instrument?.description ?? ""}`, h("span", { class: "muted" }, instrument ? ` · unit ${instrument.unit || "1"}, ${count(instrument.series)} series, ${instrument.services.join(", ")}` : " is not held")),
      h("div", { class: "cards" }, main.element, rate.element), note);
    refresh = async () => {
      const list = await series(name, null);
      show(main, list);
      rate.element.hidden = list.kind !== "distribution";
      if (!rate.element.hidden) rate.show(list.times, list.series.map((group, index) => ({ label: nameOf(group), colour: lineColour(group, index), values: group.values })));
      note.textContent = list.omitted ? `${count(list.omitted)} more groups are not drawn.` : list.kind === "distribution" ? "95th percentile, and measurements a second." : "";
    };
  }

  // ---- the whole ----

  async function build() {
    for (const made of plots) made.leave();
    plots = [];
    for (const label of [service, window, metric]) {
      const { name, value } = select(label);
      if (value && !(name === "seconds" && value === "300")) parameters.set(name, value);
      else parameters.delete(name);
    }
    history.replaceState(null, "", parameters.size ? `#/metrics?${parameters}` : "#/metrics");
    const name = select(metric).value;
    if (name) await explorer(name);
    else overview();
    await draw();
  }

  async function draw() {
    if (busy) return;
    busy = true;
    last = Date.now();
    try {
      await refresh();
    } catch (error) {
      if (plots.length === 0) page.replaceChildren(h("p", { class: "bad" }, `${error}`));
    }
    busy = false;
  }

  async function listChoices() {
    const [{ services }, { instruments }] = await Promise.all([get("/api/services"), get("/api/metrics/instruments")]);
    setOptions(select(service), [["", "all"], ...services.map((/** @type {string} */ name) => [name, name])], select(service).value);
    setOptions(select(metric), [["", "choose…"], ...instruments.map((/** @type {Instrument} */ of) => [of.name, of.name])], select(metric).value);
  }

  form.addEventListener("input", () => { build(); });
  listChoices().catch(() => {}).then(build);
  return {
    title: "Metrics",
    update: () => {
      clearTimeout(timer);
      timer = setTimeout(draw, Math.max(0, last + PACE - Date.now()));
    },
    leave: () => {
      clearTimeout(timer);
      for (const made of plots) made.leave();
    },
  };
}
