// A list of which only the rows in sight exist, so that ten thousand cost no more than forty.

import { h } from "./dom.js";

/** Rows drawn beyond the edges, so that a quick scroll shows no gap. */
const MARGIN = 10;

/**
 * @typedef {object} RowsOptions
 * @property {string} label what the list is, for those who hear it
 * @property {"listbox" | "tree"} role
 * @property {string} name part of the rows' ids
 * @property {(index: number) => HTMLElement} draw
 * @property {(index: number) => string} key names the row whatever its place
 * @property {(index: number) => void} onOpen Enter, or a click
 * @property {(index: number) => void} [onSelect] the row became the current one
 * @property {(event: KeyboardEvent, index: number) => boolean} [onKey] whether it took the key
 * @property {() => void} [onEnd] the last rows are in sight
 */

export class Rows {
  /** @param {RowsOptions} options */
  constructor(options) {
    this.options = options;
    this.count = 0;
    /** @type {string | null} */
    this.current = null;
    this.space = h("div", { class: "rows-space", role: "presentation" });
    this.layer = h("div", { class: "rows-layer", role: "presentation" });
    this.space.append(this.layer);
    this.element = h("div", {
      class: "rows", tabindex: "0", role: options.role, "aria-label": options.label,
      onscroll: () => this.#drawSoon(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onclick: (/** @type {MouseEvent} */ event) => this.#click(event),
      onfocus: () => { if (this.current === null && this.count > 0) this.select(this.#firstInSight()); },
    }, this.space);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.drawing = false;
  }

  get height() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 32;
  }

  /**
   * Shows so many rows, and keeps what is in sight where it is.
   *
   * @param {number} count
   * @param {(key: string) => number} [place] where the row of a key is now, or -1
   */
  update(count, place) {
    const height = this.height;
    const scrolled = this.element.scrollTop;
    const first = Math.floor(scrolled / height);
    const anchor = place && scrolled > 0 && first < this.count ? this.firstKey : null;
    this.count = count;
    this.space.style.height = `${count * height}px`;
    if (anchor && place) {
      const now = place(anchor);
      if (now >= 0 && now !== first) this.element.scrollTop = now * height + (scrolled % height);
    }
    this.draw();
  }

  draw() {
    const { draw, key, role, name, onEnd } = this.options;
    const height = this.height;
    const inSight = Math.ceil(this.element.clientHeight / height);
    const first = Math.floor(this.element.scrollTop / height);
    this.firstKey = first < this.count ? key(first) : null;
    const from = Math.max(0, first - MARGIN);
    const to = Math.min(this.count, first + inSight + MARGIN);
    const rows = [];
    let active = "";
    for (let index = from; index < to; index += 1) {
      const row = draw(index);
      const of = key(index);
      row.id = `${name}-${of}`;
      row.dataset.index = String(index);
      row.setAttribute("role", role === "tree" ? "treeitem" : "option");
      row.setAttribute("aria-selected", String(of === this.current));
      if (role === "listbox") {
        row.setAttribute("aria-posinset", String(index + 1));
        row.setAttribute("aria-setsize", String(this.count));
      }
      row.classList.add("row");
      if (of === this.current) active = row.id;
      rows.push(row);
    }
    this.layer.style.transform = `translateY(${from * height}px)`;
    this.layer.replaceChildren(...rows);
    if (active) this.element.setAttribute("aria-activedescendant", active);
    else this.element.removeAttribute("aria-activedescendant");
    if (to >= this.count && this.count > 0) onEnd?.();
  }

  /**
   * Makes a row the current one, and brings it in sight.
   *
   * @param {number} index
   */
  select(index) {
    if (index < 0 || index >= this.count) return;
    this.current = this.options.key(index);
    const height = this.height;
    const top = index * height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.element.scrollTop = top + height - clientHeight;
    this.draw();
    this.options.onSelect?.(index);
  }

  /** The place of the current row, where it is drawn or can be found; else -1. */
  get index() {
    if (this.current === null) return -1;
    const drawn = this.layer.querySelector('[aria-selected="true"]');
    if (drawn instanceof HTMLElement) return Number(drawn.dataset.index);
    for (let index = 0; index < this.count; index += 1) if (this.options.key(index) === this.current) return index;
    return -1;
  }

  focus() {
    this.element.focus({ preventScroll: true });
  }

  leave() {
    this.observer.disconnect();
  }

  #firstInSight() {
    return Math.min(this.count - 1, Math.ceil(this.element.scrollTop / this.height));
  }

  #drawSoon() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const row = event.target instanceof Element ? event.target.closest(".row") : null;
    // With a modifier the browser opens a row's link elsewhere.
    if (!(row instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target instanceof Element && event.target.closest("button, a:not(.row)")) return;
    event.preventDefault();
    const index = Number(row.dataset.index);
    this.select(index);
    this.options.onOpen(index);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = this.index;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const last = this.count - 1;
    /** @type {Record<string, number>} */
    const moves = {
      ArrowDown: index + 1, j: index + 1, ArrowUp: index - 1, k: index - 1, PageDown: index + page, PageUp: index - page,
      Home: 0, End: last,
    };
    if (event.key in moves) {
      event.preventDefault();
      if (last >= 0) this.select(Math.max(0, Math.min(last, moves[event.key])));
    } else if (event.key === "Enter" && index >= 0) {
      event.preventDefault();
      this.options.onOpen(index);
    } else if (index >= 0 && this.options.onKey?.(event, index)) {
      event.preventDefault();
    }
  }
}
