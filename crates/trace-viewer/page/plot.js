// A plot over time, by uPlot.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { h } from "./dom.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour a CSS colour, also a variable
 * @property {(number | null)[]} values
 * @property {boolean} [dashed]
 * @property {boolean} [filled]
 */

const HEIGHT = 170;

/** What a CSS colour is, for a canvas, which knows no variables. */
function resolved(/** @type {string} */ colour, /** @type {HTMLElement} */ near) {
  const probe = h("span", { style: { color: colour } });
  near.append(probe);
  const is = getComputedStyle(probe).color;
  probe.remove();
  return is;
}

/** @param {number} time seconds since the Unix epoch */
const timeOfDay = (time) => new Date(time * 1000).toLocaleTimeString("en-GB").replace(/:00$/, "");

export class Plot {
  /**
   * @param {string} title
   * @param {(value: number | null) => string} format
   * @param {{ gaps?: boolean }} [options] gaps: whether to leave steps without a value open
   */
  constructor(title, format, options = {}) {
    this.format = format;
    this.gaps = options.gaps ?? true;
    this.latest = h("span", { class: "latest" });
    this.area = h("div", { class: "plot" });
    this.element = h("figure", { class: "card", role: "group", "aria-label": title }, h("figcaption", {}, h("h3", { class: "plot-title" }, title), this.latest), this.area);
    /** @type {any} */
    this.plot = null;
    this.shape = "";
    this.width = 0;
    this.observer = new ResizeObserver(() => {
      const width = this.area.clientWidth;
      if (this.plot && width > 0 && width !== this.width) {
        this.width = width;
        this.plot.setSize({ width, height: HEIGHT });
      }
    });
    this.observer.observe(this.area);
    this.onTheme = () => {
      this.shape = "";
      if (this.last) this.show(...this.last);
    };
    window.addEventListener("themechange", this.onTheme);
  }

  /**
   * @param {number[]} times seconds since the Unix epoch
   * @param {Line[]} lines
   */
  show(times, lines) {
    /** @type {[number[], Line[]]} */
    this.last = [times, lines];
    const told = lines.filter((line) => line.values.some((value) => value !== null));
    this.latest.textContent = told.slice(0, 3).map((line) => `${told.length > 1 ? `${line.label} ` : ""}${this.format(line.values.findLast((value) => value !== null) ?? null)}`).join(", ");
    if (told.length === 0) {
      this.#clear();
      this.area.replaceChildren(h("p", { class: "empty" }, "Nothing measured in this time"));
      return;
    }
    const shape = told.map((line) => `${line.label}\n${line.colour}`).join("\n\n");
    const data = [times, ...told.map((line) => line.values)];
    if (this.plot && shape === this.shape) {
      this.plot.setData(data);
      return;
    }
    this.#clear();
    this.shape = shape;
    const soft = resolved("var(--soft)", this.area);
    const grid = { stroke: resolved("var(--line)", this.area), width: 1 };
    this.width = this.area.clientWidth || 400;
    this.area.replaceChildren();
    this.plot = new uPlot({
      width: this.width, height: HEIGHT,
      cursor: { y: false, sync: { key: "time" }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (/** @type {any} */ _plot, /** @type {number} */ low, /** @type {number} */ high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
      axes: [
        { stroke: soft, grid: { show: false }, ticks: { show: false }, size: 24, font: "11px system-ui", values: (/** @type {any} */ _plot, /** @type {number[]} */ at) => at.map(timeOfDay) },
        { stroke: soft, grid, ticks: { show: false }, size: 68, font: "11px system-ui", values: (/** @type {any} */ _plot, /** @type {number[]} */ values) => values.map((value) => this.format(value)) },
      ],
      series: [{ value: "{HH}:{mm}:{ss}" }, ...told.map((line) => {
        const stroke = resolved(line.colour, this.area);
        return {
          label: line.label, stroke, width: 1.75, spanGaps: !this.gaps, dash: line.dashed ? [5, 4] : undefined, points: { show: false },
          fill: line.filled ? stroke.replace(/\)$/, " / 0.14)").replace("rgb(", "rgb(").replace(/, (\d+), (\d+) \//, " $1 $2 /") : undefined,
          value: (/** @type {any} */ _plot, /** @type {number | null} */ value) => this.format(value),
        };
      })],
    }, data, this.area);
  }

  leave() {
    this.observer.disconnect();
    window.removeEventListener("themechange", this.onTheme);
    this.#clear();
  }

  #clear() {
    this.plot?.destroy();
    this.plot = null;
    this.shape = "";
  }
}
