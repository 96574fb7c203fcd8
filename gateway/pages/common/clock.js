/** The time as the gateway has it: deadlines are by its clock, and a visitor's may be wrong. */

const TOLERATED_MS = 2_000; // the header has whole seconds, and an answer takes its time

let aheadMs = 0;

/**
 * Sets the clock by the `Date` of an answer.
 *
 * @param {string | null} date
 */
export function setBy(date) {
  const ahead = Date.parse(date ?? "") - Date.now();
  if (!Number.isNaN(ahead)) aheadMs = Math.abs(ahead) > TOLERATED_MS ? ahead : 0;
}

/**
 * Tells the time, in milliseconds since 1970.
 *
 * @returns {number}
 */
export function now() {
  return Date.now() + aheadMs;
}

/**
 * Writes a moment as this visitor's clock should show it.
 *
 * @param {number} moment in milliseconds since 1970
 * @returns {string}
 */
export function timeOfDay(moment) {
  const today = new Date(now()).toDateString() === new Date(moment).toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const day = today ? {} : { weekday: "short" };
  const form = { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Date(moment).toLocaleTimeString("en-GB", /** @type {any} */ (form));
}
