/** Time that runs out, second by second. */

import { now } from "./clock.js";

/**
 * Writes a length of time as a clock does: `4:32`, or `1:04:32`.
 *
 * @param {number} milliseconds
 * @returns {string}
 */
export function asClock(milliseconds) {
  const whole = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/**
 * Counts down to a moment. `show` is called at once, each second, and at the end with 0.
 *
 * @param {number} moment in milliseconds since 1970, by the gateway's clock
 * @param {(leftMs: number) => void} show
 * @param {() => void} [atEnd]
 * @returns {() => void} what stops it
 */
export function countDown(moment, show, atEnd = () => {}) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const tick = () => {
    const left = Math.max(0, moment - now());
    show(left);
    if (left === 0) atEnd();
    else timer = setTimeout(tick, left % 1000 || 1000); // when the next second is full
  };
  tick();
  return () => clearTimeout(timer);
}
