/** What is drawn over time, each always in its own colour. */

import { spelled } from "./words.js";

/** @import {Sample} from "./types.js" */

/**
 * @typedef {{ key: string, name: string, style: string,
 *   of: (counted: Pick<Sample, "issued" | "replayed" | "refused">) => number }} Series
 */

/** @type {Series[]} */
export const ISSUED = [
  { key: "issued", name: "Issued", style: "issued", of: ({ issued }) => issued },
  { key: "replayed", name: "Delivered again", style: "replayed", of: ({ replayed }) => replayed },
];

const USUAL = [
  "RATE_LIMIT_EXCEEDED",
  "ABUSE_DETECTED",
  "USER_BLOCKED",
  "ADDRESS_BLOCKED",
  "UNAUTHENTICATED",
  "UPSTREAM_UNAVAILABLE",
];
const COLOURS = 8; // beyond them, nobody could tell which is which

/** Gives the reasons of refusals their colours. */
export class Reasons {
  #known = [...USUAL];

  /**
   * Returns the series of those reasons that there are, in an order that stays.
   *
   * @param {Iterable<string>} there
   * @returns {Series[]}
   */
  series(there) {
    const reasons = new Set(there);
    for (const reason of reasons) {
      if (!this.#known.includes(reason)) this.#known.push(reason);
    }
    const shown = this.#known.slice(0, COLOURS);
    const others = this.#known.slice(COLOURS);
    const own = shown.filter((reason) => reasons.has(reason)).map((reason) => this.#one(reason));
    if (!others.some((reason) => reasons.has(reason))) return own;
    const of = (/** @type {Pick<Sample, "refused">} */ { refused }) =>
      others.reduce((all, reason) => all + (refused.get(reason) ?? 0), 0);
    return [...own, { key: "", name: "For other reasons", style: "others", of }];
  }

  /**
   * @param {string} reason
   * @returns {Series}
   */
  #one(reason) {
    const style = `reason-${this.#known.indexOf(reason)}`;
    return { key: reason, name: spelled(reason), style, of: ({ refused }) => refused.get(reason) ?? 0 };
  }
}
