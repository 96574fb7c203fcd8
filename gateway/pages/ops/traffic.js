/** Issued and refused over five minutes: drawn, read moment by moment, and as a table. */

import { find, make } from "../common/elements.js";
import { KEPT_MS, sum } from "./heard.js";
import { Legend } from "./legend.js";
import { MomentPicker } from "./moment-picker.js";
import { reading, total } from "./reading.js";
import { ISSUED, Reasons } from "./series.js";
import { TimeAxis, picture } from "./traffic-picture.js";
import { fillTable } from "./traffic-table.js";
import { short, toTheSecond } from "./words.js";

/**
 * @import {Heard} from "./heard.js"
 * @import {Series} from "./series.js"
 * @import {Sample} from "./types.js"
 */

const LATELY_MS = 10_000;

/** The traffic, as it is and as it is read. */
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
  #axis = new TimeAxis(0, 0);

  /** @param {Heard} heard */
  constructor(heard) {
    this.#heard = heard;
    this.#picker = new MomentPicker(find("traffic-moments", HTMLElement), {
      heard,
      when: (pixels) => this.#axis.at(pixels),
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

  #draw() {
    const axis = (this.#axis = new TimeAxis(this.#place.clientWidth, Date.now()));
    if (axis.width === 0) return;
    const { samples } = this.#heard;
    const refusals = this.#reasons.series(samples.flatMap(({ refused }) => [...refused.keys()]));
    const chosen = this.#picker.chosen;
    this.#place.replaceChildren(picture(axis, this.#heard, refusals, chosen));
    this.#write(samples, refusals, chosen);
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
  }

  /** @param {Sample | undefined} sample */
  #say(sample) {
    const hint = "Point at the picture, or move over it with the arrow keys, to read a moment.";
    this.#reading.replaceChildren(
      ...(sample ? [make("strong", {}, toTheSecond(sample.end)), ` ${reading(sample)}`] : [hint]),
    );
  }
}
