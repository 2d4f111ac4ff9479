// The products, each with what is needed to order it.

import { h, put } from "./dom.js";

/**
 * @typedef {object} Product
 * @property {string} id
 * @property {string} name
 * @property {string} category
 * @property {number} price_minor
 * @property {string} currency
 * @property {number} available
 */

const METHODS = [
  ["card_ok", "a good card"], ["card_declined", "a card that is declined"],
  ["card_slow", "a card that takes too long"], ["gateway_error", "a card that breaks the gateway"],
];

/** @param {number} minor @param {string} currency */
export const money = (minor, currency) => new Intl.NumberFormat("en", { style: "currency", currency }).format(minor / 100);

/**
 * Draws the products in place of those before; what was chosen stays.
 *
 * @param {HTMLElement} list
 * @param {Product[]} products
 * @param {boolean} signedIn
 * @param {(product: Product, quantity: number, paymentMethod: string) => void} order
 */
export function drawProducts(list, products, signedIn, order) {
  const chosen = new Map([...list.querySelectorAll("form")].map((form) => [form.dataset.id, new FormData(form)]));
  put(list, products.map((product) => {
    const before = chosen.get(product.id);
    const method = h("select", { name: "method", "aria-label": `Pay for ${product.name} with` },
      METHODS.map(([value, text]) => h("option", { value, selected: before?.get("method") === value }, text)));
    const quantity = h("input", {
      name: "quantity", type: "number", min: "1", max: "1000", value: String(before?.get("quantity") ?? 1), required: true,
      "aria-label": `How many: ${product.name}`,
    });
    const form = /** @type {HTMLFormElement} */ (h("form", { class: "buy", "data-id": product.id },
      quantity, method,
      h("button", { type: "submit", class: "primary", disabled: !signedIn, "aria-label": `Order ${product.name}` }, "Order")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const of = new FormData(form);
      order(product, Number(of.get("quantity")), String(of.get("method")));
    });
    return h("li", { class: "product" },
      h("b", { class: "product-name" }, product.name),
      h("span", { class: "price" }, money(product.price_minor, product.currency)),
      h("span", { class: product.available > 0 ? "muted" : "bad" },
        `${product.category} · ${product.available > 0 ? `${product.available.toLocaleString("en")} in stock` : "sold out"}`),
      form);
  }));
}
