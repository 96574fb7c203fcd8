/** What is depended on, how full the process is, and which one it is. */

import { find, make } from "../common/elements.js";
import { span, spelled, when } from "./words.js";

/** @import {Moment} from "./types.js" */

const NEARLY_FULL = 0.9;

/** How the process stands. */
export class Health {
  #instance = "";
  #dependencies = "";

  /**
   * Shows it as of a moment.
   *
   * @param {Moment} moment
   * @returns {boolean} whether it is another process than before
   */
  show(moment) {
    const another = this.#instance !== "" && this.#instance !== moment.instance;
    this.#instance = moment.instance;
    this.#showDependencies(moment);
    showLoad(moment.activeCalls, moment.capacity);
    find("instance", HTMLElement).textContent = moment.instance;
    const started = Date.parse(moment.startTime);
    const uptime = Date.parse(moment.time) - started;
    find("uptime", HTMLElement).textContent = `${span(uptime)}, since ${when(started)}`;
    return another;
  }

  clear() {
    this.#instance = this.#dependencies = "";
    for (const id of ["dependencies", "instance", "uptime", "load-words"]) {
      find(id, HTMLElement).replaceChildren();
    }
  }

  /** @param {Moment} moment */
  #showDependencies({ dependencies }) {
    const now = JSON.stringify(dependencies);
    if (now === this.#dependencies) return;
    this.#dependencies = now;
    find("dependencies", HTMLElement).replaceChildren(...dependencies.map(dependency));
  }
}

/** @param {{ name: string, state: string }} dependency */
function dependency({ name, state }) {
  const well = state === "SERVING";
  return make(
    "li",
    { class: well ? "well" : "unwell" },
    make("span", { class: "dot", "aria-hidden": "true" }, well ? "✓" : "!"),
    make("span", { class: "dependency" }, name),
    make("span", { class: "dependency-state" }, spelled(state)),
  );
}

/**
 * @param {number} active
 * @param {number} capacity
 */
function showLoad(active, capacity) {
  const meter = find("load", HTMLElement);
  const share = capacity > 0 ? Math.min(1, active / capacity) : 0;
  const words = `${active} of ${capacity} calls`;
  find("load-words", HTMLElement).textContent = words;
  meter.style.setProperty("--share", String(share));
  meter.classList.toggle("full", share >= NEARLY_FULL);
  meter.setAttribute("aria-valuemax", String(capacity));
  meter.setAttribute("aria-valuenow", String(Math.min(active, capacity)));
  meter.setAttribute("aria-valuetext", words);
}
