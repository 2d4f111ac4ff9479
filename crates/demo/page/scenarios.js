// The scenarios, each with its switch.

import { h, put } from "./dom.js";

const POLL_MS = 3000;

/** @param {HTMLElement} list */
export function showScenarios(list) {
  let busy = "";
  let failed = "";
  /** @type {any[]} */
  let scenarios = [];

  function draw() {
    const focused = document.activeElement?.id;
    put(list, scenarios.map((scenario) => h("li", { class: scenario.on ? "scenario on" : "scenario" },
      h("button", {
        type: "button", role: "switch", id: `scenario-${scenario.name}`, "aria-checked": String(scenario.on), disabled: busy !== "",
        "aria-describedby": `about-${scenario.name}`, onclick: () => turn(scenario),
      }, scenario.title),
      h("p", { id: `about-${scenario.name}` }, scenario.broken,
        scenario.on && h("span", { class: "look" }, ` ${scenario.look}`),
        h("span", { class: "muted" }, scenario.on ? ` ${scenario.rate} customers a second. ` : " ", h("code", {}, `docs/scenarios/${scenario.name}.md`)),
        busy === scenario.name && h("span", { class: "note" }, scenario.on ? " Switching off…" : " Switching on…"),
        failed.startsWith(`${scenario.name} `) && h("span", { class: "bad" }, failed.slice(scenario.name.length))))));
    if (focused) document.getElementById(focused)?.focus();
  }

  async function turn(/** @type {any} */ scenario) {
    busy = scenario.name;
    failed = "";
    draw();
    try {
      const response = await fetch(`/scenarios/${scenario.name}`, {
        method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ on: !scenario.on }),
      });
      const answer = await response.json();
      if (response.ok) scenarios = answer;
      else failed = `${scenario.name} ${answer.detail}`;
    } catch (error) {
      failed = `${scenario.name} ${error}`;
    }
    busy = "";
    draw();
  }

  async function look() {
    if (busy === "") {
      try {
        const seen = await (await fetch("/scenarios.json", { cache: "no-store" })).json();
        if (busy === "" && JSON.stringify(seen) !== JSON.stringify(scenarios)) {
          scenarios = seen;
          draw();
        }
      } catch { /* the demo has stopped, and with it everything here */ }
    }
    setTimeout(look, POLL_MS);
  }
  look();
}
