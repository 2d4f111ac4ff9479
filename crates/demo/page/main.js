// The shop: who is signed in, what there is, what was ordered, what is broken.

import { Refusal, call } from "./calls.js";
import { h, put } from "./dom.js";
import { placeOrder } from "./orders.js";
import { drawProducts } from "./products.js";
import { showScenarios } from "./scenarios.js";
import { begin, end } from "./spans.js";
import { switchThemes } from "./theme.js";

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const said = element("said");

/** @type {any} */
let facts;
/** @type {string | null} */
let token = null;
/** @type {import("./products.js").Product[]} */
let products = [];

/** @param {string} text @param {boolean} [wrong] */
function say(text, wrong = false) {
  said.textContent = text;
  said.classList.toggle("wrong", wrong);
}

/**
 * What a click does, as a trace of its own.
 *
 * @param {string} name
 * @param {(click: import("./spans.js").Span) => Promise<void>} act
 */
async function click(name, act) {
  const span = begin(name);
  try {
    await act(span);
  } catch (error) {
    span.error = error instanceof Refusal ? error.code : String(error);
    say(error instanceof Refusal ? error.message : String(error), true);
  } finally {
    end(span);
  }
}

/** @param {import("./spans.js").Span | null} parent none: this leaves no trace */
async function listProducts(parent) {
  const answer = await call("GET", facts.inventory, "/api/products", { parent, query: "?limit=100" });
  const ours = new Set(facts.products);
  products = answer.products.filter((/** @type {any} */ product) => ours.has(product.id));
  draw();
}

function draw() {
  drawProducts(element("products"), products, token !== null, async (product, quantity, method) => {
    element("no-orders").hidden = true;
    await placeOrder(facts, /** @type {string} */ (token), element("orders"), product, quantity, method);
    await listProducts(null).catch(() => {});
  });
}

function drawAccount() {
  const account = element("account");
  if (token !== null) {
    put(account, h("span", { class: "muted" }, `Signed in as ${facts.email}`));
    return;
  }
  put(account,
    h("label", { class: "field" }, h("span", {}, "Sample user"),
      h("select", { name: "user", id: "user" }, h("option", { value: facts.email }, facts.email))),
    h("button", { type: "submit", class: "primary", id: "sign-in" }, "Sign in"),
    h("button", { type: "button", class: "quiet", id: "reload", onclick: () => click("list products", listProducts) }, "Reload products"));
}

element("account").addEventListener("submit", (event) => {
  event.preventDefault();
  click("sign in", async (parent) => {
    const body = { email: facts.email, password: facts.password };
    const login = await call("POST", facts.user, "/api/users/login", { parent, body });
    token = login.access_token;
    setTimeout(() => { token = null; drawAccount(); draw(); say("Your access token has expired: sign in again."); }, login.expires_in * 900);
    drawAccount();
    draw();
    say("");
  });
});

// ---- begin ----

switchThemes(element("theme"));
facts = await (await fetch("/shop.json", { cache: "no-store" })).json();
element("viewer").setAttribute("href", `${facts.viewer}/`);
drawAccount();
showScenarios(element("scenarios"));
click("list products", listProducts);
