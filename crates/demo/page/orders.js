// Orders: placed by a click, followed over a WebSocket while they are on their way.

import { Refusal, call } from "./calls.js";
import { h, put } from "./dom.js";
import { money } from "./products.js";
import { begin, end } from "./spans.js";

const STEPS = ["pending", "reserved", "paid", "confirmed"];
const ENDS = ["confirmed", "failed", "cancelled"];

/** How far an order is: it never goes back. */
const rank = (/** @type {string} */ status) => [...STEPS, "failing", "cancelling", "failed", "cancelled"].indexOf(status);

/**
 * Places an order and shows it until it is final.
 *
 * @param {any} facts
 * @param {string} token
 * @param {HTMLElement} list
 * @param {import("./products.js").Product} product
 * @param {number} quantity
 * @param {string} paymentMethod
 */
export async function placeOrder(facts, token, list, product, quantity, paymentMethod) {
  const click = begin("place order");
  Object.assign(click.attributes, { "product.id": product.id, "order.quantity": quantity, "payment.method": paymentMethod });
  const view = new OrderView(facts, product, quantity, click.traceId);
  list.prepend(view.element);
  const body = { product_id: product.id, quantity, payment_method: paymentMethod, order_type: "standard" };
  const placing = call("POST", facts.order, "/api/orders", { parent: click, token, body });
  // The answer comes when the order is final; what happens until then is told by its events.
  const watching = watch(facts, token, product.id, placing, view);
  try {
    view.show(await placing);
  } catch (error) {
    click.error = error instanceof Refusal ? error.code : String(error);
    view.fail(error instanceof Refusal ? error : new Refusal(0, null));
  } finally {
    end(click);
  }
  await watching;
}

/**
 * Finds the order that was just begun among the customer's latest, and shows its events.
 *
 * @param {any} facts
 * @param {string} token
 * @param {string} productId
 * @param {Promise<any>} placing
 * @param {OrderView} view
 */
async function watch(facts, token, productId, placing, view) {
  let isOver = false;
  const over = () => { isOver = true; };
  placing.then(over, over);
  const begun = Date.now() - 1000;
  while (!isOver) {
    await new Promise((wait) => setTimeout(wait, 60));
    if (isOver) return;
    let latest = [];
    try {
      latest = await call("GET", facts.order, "/api/orders", { token, query: "?limit=5" });
    } catch { /* the order itself tells what is wrong */ }
    const found = latest.find((/** @type {any} */ order) => order.product_id === productId && !watched.has(order.order_id)
      && Date.parse(order.created_at) >= begun && !ENDS.includes(order.status));
    if (found) {
      watched.add(found.order_id);
      return followEvents(facts, token, found.order_id, view);
    }
  }
}

/** @type {Set<string>} the orders whose events some view shows */
const watched = new Set();

/**
 * @param {any} facts
 * @param {string} token
 * @param {string} id
 * @param {OrderView} view
 */
function followEvents(facts, token, id, view) {
  const url = `${facts.order.replace(/^http/, "ws")}/api/orders/${id}/events`;
  // A page can set no header of a WebSocket; the token is offered as a protocol.
  const socket = new WebSocket(url, ["order-events", `bearer.${token}`]);
  view.streamed(() => cancelOrder(facts, token, id, view));
  socket.addEventListener("message", (event) => view.show(JSON.parse(event.data)));
  return new Promise((closed) => socket.addEventListener("close", closed));
}

/**
 * Calls an order off. What comes of it is told by its events.
 *
 * @param {any} facts
 * @param {string} token
 * @param {string} id
 * @param {OrderView} view
 */
async function cancelOrder(facts, token, id, view) {
  const click = begin("cancel order");
  try {
    view.show(await call("POST", facts.order, "/api/orders/{id}/cancel", { parent: click, id, token }));
  } catch (error) {
    // It was too late, and the order goes on.
    click.error = error instanceof Refusal ? error.code : String(error);
  } finally {
    end(click);
  }
}

/** One order in the list. */
class OrderView {
  /**
   * @param {any} facts
   * @param {import("./products.js").Product} product
   * @param {number} quantity
   * @param {string} traceId
   */
  constructor(facts, product, quantity, traceId) {
    this.product = product;
    this.quantity = quantity;
    this.traceLink = h("a", { href: `${facts.viewer}/#/traces/${traceId}`, target: "_blank", rel: "noreferrer", class: "trace-link" },
      "Trace", h("span", { class: "hidden" }, ` of the order of ${product.name}`));
    this.element = h("li", { class: "order" });
    /** @type {(() => void) | null} calls the order off, once its id is known */
    this.cancel = null;
    this.draw("placing", null, null);
  }

  /** @param {() => void} cancel */
  streamed(cancel) {
    this.cancel = cancel;
  }

  /** @param {any} order */
  show(order) {
    // The answer to the click may overtake what the socket still has to tell.
    if (rank(order.status) < rank(this.status) || ENDS.includes(this.status)) return;
    this.draw(order.status, order.failure_code, order.amount_minor === null ? null : money(order.amount_minor, order.currency));
  }

  /** @param {Refusal} refusal */
  fail(refusal) {
    if (refusal.code === "order_cancelled") return this.draw("cancelled", null, null);
    this.draw("failed", `${refusal.status || ""} ${refusal.code}`.trim(), null, refusal.message);
  }

  /**
   * @param {string} status
   * @param {string | null} code
   * @param {string | null} amount
   * @param {string} [detail]
   */
  draw(status, code, amount, detail = "") {
    const reached = STEPS.indexOf(status);
    this.status = status;
    this.element.dataset.status = status;
    this.element.classList.toggle("streamed", this.cancel !== null);
    const isLost = rank(status) > rank("confirmed");
    const mayBeCancelled = this.cancel && (status === "pending" || status === "reserved");
    put(this.element,
      h("span", {}, h("b", {}, `${this.quantity} × ${this.product.name}`), amount ? ` ${amount}` : ""),
      status === "failed"
        ? h("span", { class: "bad status" }, `failed: ${code ?? "unknown"}`)
        : h("span", { class: "status" }, status),
      h("span", { class: "steps", "aria-hidden": "true" },
        STEPS.map((step, at) => h("i", { class: isLost ? "step failed" : at <= reached ? "step reached" : "step", title: step }))),
      this.traceLink,
      mayBeCancelled && h("button", { type: "button", class: "cancel", onclick: this.cancel },
        "Cancel", h("span", { class: "hidden" }, ` the order of ${this.product.name}`)),
      detail && h("span", { class: "muted detail" }, detail));
  }
}
