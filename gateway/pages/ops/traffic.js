/** Issued and refused over five minutes: drawn, read moment by moment, and as a table. */

import { find, make } from "../common/elements.js";
import { KEPT_MS, sum } from "./heard.js";
import { Legend } from "./legend.js";
import { MomentPicker } from "./moment-picker.js";
import { panel } from "./panel.js";
import { reading, total } from "./reading.js";
import { ISSUED, Reasons } from "./series.js";
import { draw } from "./svg.js";
import { fillTable } from "./traffic-table.js";
import { short, toTheSecond } from "./words.js";

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
const LATELY_MS = 10_000;
const SILENT_MS = 2_500; // without a word for longer, something is missing
const WORTH_A_LABEL = 140; // pixels
const LABEL = 36; // where no line of the grid is

/** The picture of the traffic. */
export class Traffic {
  #heard;
  #reasons = new Reasons();
  #place = find("traffic-picture", HTMLElement);
  #reading = find("traffic-reading", HTMLElement);
  #table = find("traffic-table", HTMLTableElement);
  #legend = new Legend(find("traffic-legend", HTMLElement), find("traffic-legend-of", HTMLElement));
  #issuedRate = find("issued-rate", HTMLElement);
  #refusedRate = find("refused-rate", HTMLElement);
  #picker;
  #waiting = false;
  #width = 0;

  /** @param {Heard} heard */
  constructor(heard) {
    this.#heard = heard;
    this.#picker = new MomentPicker(find("traffic-moments", HTMLElement), {
      heard,
      across: (time) => this.#across(time),
      when: (pixels) => this.#left + ((pixels - LEFT) / (this.#width - LEFT)) * KEPT_MS,
      read: (sample) => this.#say(sample),
      picked: () => this.redraw(),
    });
    new ResizeObserver(() => this.redraw()).observe(this.#place);
  }

  /** Draws it as it is by now, once the browser paints. */
  redraw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#draw();
    });
  }

  clear() {
    this.#heard.clear();
    this.#picker.follow();
    this.#place.replaceChildren();
    this.#legend.clear();
    this.#table.tBodies[0]?.replaceChildren();
    this.#issuedRate.textContent = this.#refusedRate.textContent = "–";
  }

  /** Writes the table anew. */
  tabulate() {
    fillTable(this.#table, this.#heard, Date.now());
  }

  get #left() {
    return Date.now() - KEPT_MS;
  }

  /** @param {number} time */
  #across(time) {
    return LEFT + Math.max(0, (time - this.#left) / KEPT_MS) * (this.#width - LEFT);
  }

  #draw() {
    const width = (this.#width = this.#place.clientWidth);
    if (width === 0) return;
    const { runs, samples } = this.#heard;
    const refusals = this.#reasons.series(samples.flatMap(({ refused }) => [...refused.keys()]));
    const across = (/** @type {number} */ time) => this.#across(time);
    const [upper, lower, height] = boxes(width);
    const chosen = this.#picker.chosen;
    this.#place.replaceChildren(
      draw(
        "svg",
        { width, height, "aria-hidden": "true" },
        hatch(),
        ...this.#unknown(runs, { top: upper.top, height: lower.top + lower.height - upper.top }),
        panel(upper, runs, ISSUED, across),
        title(upper, "Issued per second"),
        panel(lower, runs, refusals, across),
        title(lower, "Refused per second"),
        ...times(lower),
        ...(chosen ? [cursor(across((chosen.start + chosen.end) / 2), upper, lower)] : []),
      ),
    );
    this.#write(samples, refusals, chosen);
  }

  /**
   * @param {Sample[][]} runs
   * @param {{ top: number, height: number }} extent
   */
  #unknown(runs, extent) {
    const first = runs[0]?.[0];
    const gaps = runs.slice(1).map((run, index) => [runs[index]?.at(-1)?.end ?? 0, run[0]?.start ?? 0]);
    const end = this.#heard.last?.end;
    if (end && Date.now() - end > SILENT_MS) gaps.push([end, Date.now()]);
    const drawn = gaps.map(([from = 0, to = 0]) => this.#stretch("gap", "not known", from, to, extent));
    if (!first || first.start - this.#left < 1000) return drawn;
    return [...drawn, this.#stretch("before", "before you watched", this.#left, first.start, extent)];
  }

  /**
   * @param {string} style
   * @param {string} label
   * @param {number} from
   * @param {number} to
   * @param {{ top: number, height: number }} extent
   */
  #stretch(style, label, from, to, extent) {
    const [x, end] = [this.#across(from), this.#across(to)];
    const width = Math.max(2, end - x);
    const box = { x, y: extent.top, width, height: extent.height };
    const middle = { x: x + width / 2, y: extent.top + LABEL };
    const text = draw("text", { class: "stretch-label", "text-anchor": "middle", ...middle }, label);
    return draw("g", { class: style }, draw("rect", box), ...(width > WORTH_A_LABEL ? [text] : []));
  }

  /**
   * @param {Sample[]} samples
   * @param {Series[]} refusals
   * @param {Sample | undefined} chosen
   */
  #write(samples, refusals, chosen) {
    const now = Date.now();
    const all = sum(samples, now - KEPT_MS, now);
    const of = chosen ? `at ${toTheSecond(chosen.end)}` : "in five minutes";
    this.#legend.show([...ISSUED, ...refusals], chosen ?? all, of);
    const end = this.#heard.last?.end ?? 0;
    const lately = sum(now - end > LATELY_MS ? [] : samples, end - LATELY_MS, end);
    const perSecond = (/** @type {number} */ count) => (lately.seconds ? short(count / lately.seconds) : "–");
    this.#issuedRate.textContent = perSecond(lately.issued + lately.replayed);
    this.#refusedRate.textContent = perSecond(total(lately.refused));
    this.#table.closest("details")?.classList.toggle("empty", samples.length === 0);
  }

  /** @param {Sample | undefined} sample */
  #say(sample) {
    const hint = "Point at the picture, or move over it with the arrow keys, to read a moment.";
    this.#reading.replaceChildren(
      ...(sample ? [make("strong", {}, toTheSecond(sample.end)), ` ${reading(sample)}`] : [hint]),
    );
  }
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
