/** Numbers, times and names as people read them. */

import { now, timeOfDay } from "../common/clock.js";
import { asClock } from "../common/countdown.js";

const DAY_MS = 86_400_000;

/**
 * Writes a number that may be small: `0.4`, `12`.
 *
 * @param {number} value
 * @returns {string}
 */
export function short(value) {
  return value >= 9.95 ? value.toFixed(0) : String(Number(value.toFixed(1)));
}

/**
 * Writes a length of time, from microseconds to seconds: `0.4 ms`, `23 ms`, `1.2 s`.
 *
 * @param {number} milliseconds
 * @returns {string}
 */
export function latency(milliseconds) {
  return milliseconds < 999.5 ? `${short(milliseconds)} ms` : `${short(milliseconds / 1000)} s`;
}

/**
 * Writes a length of time, from seconds to days: `0:42`, `3:12:05`, `6 d 23 h`.
 *
 * @param {number} milliseconds
 * @returns {string}
 */
export function span(milliseconds) {
  if (milliseconds < DAY_MS) return asClock(milliseconds);
  const hours = Math.floor(milliseconds / 3_600_000);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * Writes how long ago something was, roughly: `12 s ago`, `4 min ago`.
 *
 * @param {number} milliseconds
 * @returns {string}
 */
export function ago(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  return seconds < 60 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

/**
 * Writes a moment of these days: `10:41`, or `3 Dec, 10:41`.
 *
 * @param {number} moment in milliseconds since 1970
 * @returns {string}
 */
export function when(moment) {
  const day = new Date(moment);
  if (new Date(now()).toDateString() === day.toDateString()) return timeOfDay(moment);
  const date = day.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const time = day.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return `${date}, ${time}`;
}

/**
 * Writes a moment of the page's own time to the second, as the gateway's clock has it.
 *
 * @param {number} moment
 * @returns {string}
 */
export function toTheSecond(moment) {
  return new Date(moment + now() - Date.now()).toLocaleTimeString("en-GB");
}

/**
 * Writes a code as words: `Rate limit exceeded`.
 *
 * @param {string} code
 * @returns {string}
 */
export function spelled(code) {
  const words = code.toLowerCase().replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * Writes a count and what is counted: `1 block`, `3 blocks`.
 *
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
