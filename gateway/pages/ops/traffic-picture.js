/** The picture of the traffic: two panels over the same five minutes, and what is not known of them. */

import { KEPT_MS } from "./heard.js";
import { panel } from "./panel.js";
import { ISSUED } from "./series.js";
import { draw } from "./svg.js";

/**
 * @import {Box} from "./panel.js"
 * @import {Heard} from "./heard.js"
 * @import {Series} from "./series.js"
 * @import {Sample} from "./types.js"
 */

const LEFT = 34;
const TITLE = 24;
const TIMES = 22;
const WIDE = 520; // pixels, as all
const SILENT_MS = 2_500; // without a word for longer, something is missing
const WORTH_A_LABEL = 140; // pixels
const LABEL = 36; // where no line of the grid is

/** Where the last five minutes are, from the left to the right. */
export class TimeAxis {
  /**
   * @param {number} width in pixels, of all
   * @param {number} now
   */
  constructor(width, now) {
    this.width = width;
    this.now = now;
  }

  get first() {
    return this.now - KEPT_MS;
  }

  /**
   * Returns where a time is, in pixels; what is before is at the left edge.
   *
   * @param {number} time
   */
  across(time) {
    return LEFT + Math.max(0, (time - this.first) / KEPT_MS) * (this.width - LEFT);
  }

  /**
   * Returns which time is there.
   *
   * @param {number} pixels
   */
  at(pixels) {
    return this.first + ((pixels - LEFT) / (this.width - LEFT)) * KEPT_MS;
  }
}

/**
 * Draws it.
 *
 * @param {TimeAxis} axis
 * @param {Heard} heard
 * @param {Series[]} refusals
 * @param {Sample | undefined} chosen
 * @returns {SVGSVGElement}
 */
export function picture(axis, heard, refusals, chosen) {
  const [upper, lower, height] = boxes(axis.width);
  const { runs } = heard;
  const across = (/** @type {number} */ time) => axis.across(time);
  return draw(
    "svg",
    { width: axis.width, height, "aria-hidden": "true" },
    hatch(),
    ...unknown(axis, runs, { top: upper.top, height: lower.top + lower.height - upper.top }),
    panel(upper, runs, ISSUED, across),
    title(upper, "Issued per second"),
    panel(lower, runs, refusals, across),
    title(lower, "Refused per second"),
    ...times(lower),
    ...(chosen ? [cursor(across((chosen.start + chosen.end) / 2), upper, lower)] : []),
  );
}

/**
 * @param {TimeAxis} axis
 * @param {Sample[][]} runs
 * @param {{ top: number, height: number }} extent
 */
function unknown(axis, runs, extent) {
  const [first] = runs[0] ?? [];
  const gaps = runs.slice(1).map((run, index) => [runs[index]?.at(-1)?.end ?? 0, run[0]?.start ?? 0]);
  const end = runs.at(-1)?.at(-1)?.end;
  if (end && axis.now - end > SILENT_MS) gaps.push([end, axis.now]);
  const drawn = gaps.map(([from = 0, to = 0]) => stretch(axis, "gap", "not known", from, to, extent));
  if (!first || first.start - axis.first < 1000) return drawn;
  return [...drawn, stretch(axis, "before", "before you watched", axis.first, first.start, extent)];
}

/**
 * @param {TimeAxis} axis
 * @param {string} style
 * @param {string} label
 * @param {number} from
 * @param {number} to
 * @param {{ top: number, height: number }} extent
 */
function stretch(axis, style, label, from, to, extent) {
  const x = axis.across(from);
  const width = Math.max(2, axis.across(to) - x);
  const box = { x, y: extent.top, width, height: extent.height };
  const middle = { x: x + width / 2, y: extent.top + LABEL };
  const text = draw("text", { class: "stretch-label", "text-anchor": "middle", ...middle }, label);
  return draw("g", { class: style }, draw("rect", box), ...(width > WORTH_A_LABEL ? [text] : []));
}

function hatch() {
  const lines = draw("path", { class: "hatch", d: "M-1 7L7 -1M-1 1L1 -1M5 7L7 5" });
  const size = { width: 6, height: 6, patternUnits: "userSpaceOnUse" };
  return draw("defs", {}, draw("pattern", { id: "hatch", ...size }, lines));
}

/**
 * Returns where the two panels are, and how high all is.
 *
 * @param {number} width in pixels, as all
 * @returns {[Box, Box, number]}
 */
function boxes(width) {
  const [first, second] = width > WIDE ? [164, 212] : [104, 124];
  const across = { left: LEFT, width: width - LEFT };
  const upper = { ...across, top: TITLE, height: first };
  const lower = { ...across, top: upper.top + first + 16 + TITLE, height: second };
  return [upper, lower, lower.top + second + TIMES];
}

/**
 * @param {Box} box
 * @param {string} text
 */
function title({ left, top }, text) {
  return draw("text", { class: "panel-title", x: left, y: top - 9 }, text);
}

/** @param {Box} box */
function times({ left, width, top, height }) {
  const marks = width > WIDE ? [5, 4, 3, 2, 1, 0] : [5, 3, 1];
  return marks.map((minutes) => {
    const anchor = minutes === 5 ? "start" : minutes === 0 ? "end" : "middle";
    const place = { x: left + width * (1 - minutes / 5), y: top + height + TIMES - 5, "text-anchor": anchor };
    return draw("text", { class: "tick", ...place }, minutes ? `${minutes} min ago` : "now");
  });
}

/**
 * @param {number} x
 * @param {Box} upper
 * @param {Box} lower
 */
function cursor(x, upper, lower) {
  return draw("line", { class: "cursor", x1: x, x2: x, y1: upper.top, y2: lower.top + lower.height });
}
