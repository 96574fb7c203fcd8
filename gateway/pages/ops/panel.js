/** One picture of rates over time: areas on top of each other, and nothing where nothing is known. */

import { draw, outline } from "./svg.js";
import { short } from "./words.js";

/**
 * @import {Series} from "./series.js"
 * @import {Sample} from "./types.js"
 */

const SHORTEST_MS = 500; // one request in a millisecond is no thousand a second

/** @typedef {{ left: number, top: number, width: number, height: number }} Box in pixels */

/**
 * Draws a panel.
 *
 * @param {Box} box
 * @param {Sample[][]} runs
 * @param {Series[]} series from the bottom up
 * @param {(time: number) => number} across from a time to pixels
 * @returns {SVGGElement}
 */
export function panel(box, runs, series, across) {
  const top = niceTop(Math.max(0, ...runs.flat().map((sample) => rate(sample, series))));
  const up = (/** @type {number} */ value) => box.top + box.height * (1 - value / top);
  const areas = series.map((one, index) => {
    const below = series.slice(0, index);
    const outlines = runs.flatMap((run) => covered(run, one).map((part) => outlineOf(part, one, below, across, up)));
    return draw("path", { class: `area ${one.style}`, d: outlines.join("") });
  });
  return draw("g", {}, ...grid(box, top, up), ...areas);
}

/**
 * Returns a round number that is not below a rate.
 *
 * @param {number} highest
 * @returns {number}
 */
export function niceTop(highest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, highest)));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= highest) ?? 10 * power;
}

/**
 * @param {Sample} sample
 * @param {Series[]} series
 */
function rate(sample, series) {
  const counts = series.reduce((all, { of }) => all + of(sample), 0);
  return (1000 * counts) / Math.max(SHORTEST_MS, sample.end - sample.start);
}

/**
 * Returns the parts of a run in which there is something of a series: what is 0 needs no ink.
 *
 * @param {Sample[]} run
 * @param {Series} one
 */
function covered(run, one) {
  /** @type {Sample[][]} */
  const parts = [];
  let before = false;
  for (const sample of run) {
    const there = one.of(sample) > 0;
    if (there && before) parts.at(-1)?.push(sample);
    else if (there) parts.push([sample]);
    before = there;
  }
  return parts;
}

/**
 * @param {Sample[]} part
 * @param {Series} one
 * @param {Series[]} below
 * @param {(time: number) => number} across
 * @param {(value: number) => number} up
 */
function outlineOf(part, one, below, across, up) {
  return outline(
    part.map((sample) => ({
      start: across(sample.start),
      end: across(sample.end),
      low: up(rate(sample, below)),
      high: up(rate(sample, [...below, one])),
    })),
  );
}

/**
 * @param {Box} box
 * @param {number} top
 * @param {(value: number) => number} up
 */
function grid(box, top, up) {
  return [0, top / 2, top].flatMap((value) => {
    const y = Math.round(up(value)) + 0.5;
    const line = draw("line", { class: "grid", x1: box.left, x2: box.left + box.width, y1: y, y2: y });
    const label = draw("text", { class: "tick", x: box.left - 6, y: y + 4, "text-anchor": "end" }, short(value));
    return [line, label];
  });
}
