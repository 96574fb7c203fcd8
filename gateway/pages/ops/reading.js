/** What was counted, in words. */

/** @import {Sample} from "./types.js" */

/**
 * Says what was counted.
 *
 * @param {Pick<Sample, "issued" | "replayed" | "refused">} sample
 * @returns {string}
 */
export function reading({ issued, replayed, refused }) {
  const again = replayed ? `, ${replayed} delivered again` : "";
  const why = [...refused].map(([reason, count]) => `${count} ${reason}`).join(", ");
  return `${issued} issued${again}; ${total(refused)} refused${why && `: ${why}`}.`;
}

/**
 * Adds up.
 *
 * @param {Map<string, number>} refused
 * @returns {number}
 */
export function total(refused) {
  return [...refused.values()].reduce((all, count) => all + count, 0);
}
