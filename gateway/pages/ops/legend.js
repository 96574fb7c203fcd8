/** What the colours are, and how many of each there were. */

import { make } from "../common/elements.js";

/**
 * @import {Series} from "./series.js"
 * @import {Sample} from "./types.js"
 */

/** A legend, whose entries stay while their numbers change. */
export class Legend {
  #list;
  #of;
  /** @type {Map<string, { item: HTMLElement, count: HTMLElement }>} */
  #entries = new Map();

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} of says what the numbers are of
   */
  constructor(list, of) {
    this.#list = list;
    this.#of = of;
  }

  /**
   * @param {Series[]} series
   * @param {Pick<Sample, "issued" | "replayed" | "refused">} counted
   * @param {string} of
   */
  show(series, counted, of) {
    this.#of.textContent = of;
    const items = series.map((one) => {
      const { item, count } = this.#entry(one);
      count.textContent = String(Math.round(one.of(counted)));
      return item;
    });
    const same = items.length === this.#list.children.length && items.every((item, index) => item === this.#list.children[index]);
    if (!same) this.#list.replaceChildren(...items);
  }

  clear() {
    this.#entries.clear();
    this.#list.replaceChildren();
  }

  /** @param {Series} series */
  #entry({ key, name, style }) {
    const known = this.#entries.get(key);
    if (known) return known;
    const count = make("span", { class: "count" });
    const item = make("li", {}, make("span", { class: `swatch ${style}` }), make("span", {}, name), count);
    const made = { item, count };
    this.#entries.set(key, made);
    return made;
  }
}
