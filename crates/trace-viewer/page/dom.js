// Elements, made without ever reading text as HTML: telemetry is written by strangers.

/** @typedef {Node | string | number | null | undefined | false} Child */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: `h("a", { class: "row", href: "#/logs", onclick: open }, "Logs")`.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props] attributes; `on…` listens, `style` takes properties, false and
 *   null leave out
 * @param {...(Child | Child[])} children text stays text
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  return /** @type {HTMLElement} */ (fill(document.createElement(tag), props, children));
}

/**
 * The same for SVG.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Child | Child[])} children
 * @returns {SVGElement}
 */
export function s(tag, props = {}, ...children) {
  return /** @type {SVGElement} */ (fill(document.createElementNS(SVG, tag), props, children));
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") {
      for (const [property, of] of Object.entries(value)) element.style.setProperty(property, String(of));
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  return put(element, ...children);
}

/**
 * Puts these into an element in place of what was there.
 *
 * @template {Element} T
 * @param {T} element
 * @param {...(Child | Child[])} children
 * @returns {T}
 */
export function put(element, ...children) {
  const there = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...there.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * A drop-down list.
 *
 * @param {string} name
 * @param {string} label
 * @param {[value: string, text: string][]} options
 * @param {string} value
 */
export function choice(name, label, options, value) {
  const select = /** @type {HTMLSelectElement} */ (h("select", { name, id: `field-${name}` }));
  setOptions(select, options, value);
  return h("label", { class: "field" }, h("span", {}, label), select);
}

/**
 * Replaces what can be chosen; what is chosen stays, whether it is among them or not.
 *
 * @param {HTMLSelectElement} select
 * @param {[value: string, text: string][]} options
 * @param {string} value
 */
export function setOptions(select, options, value) {
  const known = options.some(([of]) => of === value) ? options : [...options, [value, value]];
  select.replaceChildren(...known.map(([of, text]) => h("option", { value: of }, text)));
  select.value = value;
}

/**
 * A field for text or numbers.
 *
 * @param {string} name
 * @param {string} label
 * @param {string} value
 * @param {Record<string, any>} [props]
 */
export function field(name, label, value, props = {}) {
  return h("label", { class: "field" }, h("span", {}, label),
    h("input", { name, id: `field-${name}`, value, autocomplete: "off", spellcheck: "false", ...props }));
}

/**
 * A button that copies a text and says that it did.
 *
 * @param {string} text
 * @param {string} label
 */
export function copyButton(text, label) {
  const button = h("button", { type: "button", class: "quiet", "aria-label": label, title: label }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

/**
 * Calls once, when calls have ceased for a while.
 *
 * @param {() => void} call
 * @param {number} ms
 */
export function settled(call, ms) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, ms);
  };
}
