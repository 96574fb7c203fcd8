/** Issued and refused over five minutes: drawn, read moment by moment, and as a table. */

import { find, make } from "../common/elements.js";
import { KEPT_MS, sum } from "./history.js";
import { Legend } from "./legend.js";
import { MomentPicker } from "./moment-picker.js";
import { panel } from "./panel.js";
import { reading, total } from "./reading.js";
import { ISSUED, Reasons } from "./series.js";
import { draw } from "./svg.js";
import { fillTable } from "./traffic-table.js";
import { short, toTheSecond } from "./words.js";

/**
 * @import {History} from "./history.js"
 * @import {Series} from "./series.js"
 * @import {Sample} from "./types.js"
 */

const LEFT = 34;
const UPPER = { top: 8, height: 96 };
const LOWER = { top: 124, height: 112 };
const BOTTOM = LOWER.top + LOWER.height;
const HEIGHT = BOTTOM + 22;
const LATELY_MS = 10_000;
const SILENT_MS = 2_500; // without a word for longer, something is missing
const WORTH_A_LABEL = 70; // pixels

/** The picture of the traffic. */
export class Traffic {
  #history;
  #reasons = new Reasons();
  #place = find("traffic-picture", HTMLElement);
  #reading = find("traffic-reading", HTMLElement);
  #table = find("traffic-table", HTMLTableElement);
  #legend = new Legend(find("traffic-legend", HTMLElement), find("traffic-legend-of", HTMLElement));
  #picker;
  #waiting = false;
  #width = 0;

  /** @param {History} history */
  constructor(history) {
    this.#history = history;
    this.#picker = new MomentPicker(find("traffic-moments", HTMLElement), {
      history,
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
    this.#history.clear();
    this.#picker.follow();
    this.redraw();
  }

  /** Writes the table anew. */
  tabulate() {
    fillTable(this.#table, this.#history, Date.now());
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
    const { runs, samples } = this.#history;
    const refusals = this.#reasons.series(samples.flatMap(({ refused }) => [...refused.keys()]));
    const across = (/** @type {number} */ time) => this.#across(time);
    const box = { left: LEFT, width: width - LEFT };
    const chosen = this.#picker.chosen;
    this.#place.replaceChildren(
      draw(
        "svg",
        { width, height: HEIGHT, "aria-hidden": "true" },
        hatch(),
        ...this.#unknown(runs),
        panel({ ...box, ...UPPER }, runs, ISSUED, across),
        panel({ ...box, ...LOWER }, runs, refusals, across),
        ...times(box),
        ...(chosen ? [cursor(across((chosen.start + chosen.end) / 2))] : []),
      ),
    );
    this.#write(samples, refusals, chosen);
  }

  /** @param {Sample[][]} runs */
  #unknown(runs) {
    const first = runs[0]?.[0];
    const gaps = runs.slice(1).map((run, index) => [runs[index]?.at(-1)?.end ?? 0, run[0]?.start ?? 0]);
    const end = this.#history.last?.end;
    if (end && Date.now() - end > SILENT_MS) gaps.push([end, Date.now()]);
    const drawn = gaps.map(([from = 0, to = 0]) => this.#stretch("gap", "not known", from, to));
    if (!first || first.start - this.#left < 1000) return drawn;
    return [...drawn, this.#stretch("before", "before you watched", this.#left, first.start)];
  }

  /**
   * @param {string} style
   * @param {string} label
   * @param {number} from
   * @param {number} to
   */
  #stretch(style, label, from, to) {
    const [x, end] = [this.#across(from), this.#across(to)];
    const width = Math.max(2, end - x);
    const box = { x, y: UPPER.top, width, height: BOTTOM - UPPER.top };
    const middle = { x: x + width / 2, y: UPPER.top + UPPER.height / 2 + 4 };
    const text = draw("text", { class: "stretch-label", "text-anchor": "middle", ...middle }, label);
    return draw("g", { class: style }, draw("rect", box), ...(width > 2 * WORTH_A_LABEL ? [text] : []));
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
    const end = this.#history.last?.end ?? now;
    const lately = sum(samples, end - LATELY_MS, end);
    const perSecond = (/** @type {number} */ count) => (lately.seconds ? short(count / lately.seconds) : "–");
    find("issued-rate", HTMLElement).textContent = perSecond(lately.issued + lately.replayed);
    find("refused-rate", HTMLElement).textContent = perSecond(total(lately.refused));
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

/** @param {{ left: number, width: number }} box */
function times({ left, width }) {
  const marks = width > 420 ? [5, 4, 3, 2, 1, 0] : [5, 3, 1];
  return marks.map((minutes) => {
    const anchor = minutes === 5 ? "start" : minutes === 0 ? "end" : "middle";
    const place = { x: left + width * (1 - minutes / 5), y: HEIGHT - 5, "text-anchor": anchor };
    return draw("text", { class: "tick", ...place }, minutes ? `${minutes} min ago` : "now");
  });
}

/** @param {number} x */
function cursor(x) {
  return draw("line", { class: "cursor", x1: x, x2: x, y1: UPPER.top, y2: BOTTOM });
}
