/** What the limits are called. */

/** @type {Record<string, {name: string, unit: string}>} */
const LIMITS = {
  tokens_per_hour: { name: "Hour", unit: "tokens in 60 minutes" },
  tokens_per_day: { name: "Day", unit: "tokens in 24 hours" },
  concurrent_sessions: { name: "At once", unit: "unexpired tokens" },
  cooldown: { name: "Cooldown", unit: "" },
};

/**
 * Returns what a limit is called.
 *
 * @param {string} limit
 * @returns {string}
 */
export function nameOf(limit) {
  return LIMITS[limit]?.name ?? limit;
}

/**
 * Returns what a limit counts, nothing where that is not known.
 *
 * @param {string} limit
 * @returns {string}
 */
export function unitOf(limit) {
  return LIMITS[limit]?.unit ?? "";
}
