/** The last five minutes: what was counted, and when nobody counted. */

/** @import {Moment, Sample} from "./types.js" */

export const KEPT_MS = 300_000;
const JOINED_MS = 500; // two samples of one connection that are no further apart adjoin

/** What the page has heard. */
export class Heard {
  /**
   * In order of time, none over another.
   *
   * @type {Sample[]}
   */
  samples = [];
  #connection = 0;
  #aheadMs = 0;

  /**
   * Takes what was counted up to a moment.
   *
   * Its time is the service's, and the next connection may lead to a process with another
   * clock: so each has its times by when its first message came.
   *
   * @param {Moment} moment
   * @param {number} connection
   */
  add(moment, connection) {
    const said = Date.parse(moment.time);
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#aheadMs = said - Date.now();
    }
    const end = said - this.#aheadMs;
    const start = this.#startOf(end - milliseconds(moment.period), connection);
    if (end <= start) return;
    const { issued, replayed } = moment;
    const refused = new Map(moment.refused.map(({ reason, count }) => [reason, count]));
    this.samples.push({ start, end, connection, issued, replayed, refused });
    this.samples = this.samples.filter((sample) => sample.end > end - KEPT_MS);
  }

  clear() {
    this.samples = [];
  }

  /** @returns {Sample | undefined} */
  get last() {
    return this.samples.at(-1);
  }

  /**
   * Finds what was counted then.
   *
   * @param {number} time
   * @returns {Sample | undefined}
   */
  at(time) {
    return this.samples.find(({ start, end }) => start < time && time <= end);
  }

  /**
   * Returns the samples that follow each other without anything missing between.
   *
   * @returns {Sample[][]}
   */
  get runs() {
    /** @type {Sample[][]} */
    const runs = [];
    for (const sample of this.samples) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      if (run && last?.end === sample.start && last.connection === sample.connection) run.push(sample);
      else runs.push([sample]);
    }
    return runs;
  }

  /**
   * @param {number} start
   * @param {number} connection
   */
  #startOf(start, connection) {
    const last = this.last;
    if (!last) return start;
    const adjoins = last.connection === connection && Math.abs(start - last.end) < JOINED_MS;
    return adjoins ? last.end : Math.max(start, last.end);
  }
}

/**
 * Adds up what was counted between two times, by how much of each sample lies between.
 *
 * @param {Sample[]} samples
 * @param {number} from
 * @param {number} to
 */
export function sum(samples, from, to) {
  const total = { seconds: 0, issued: 0, replayed: 0, refused: new Map() };
  for (const { start, end, issued, replayed, refused } of samples) {
    const overlap = Math.min(end, to) - Math.max(start, from);
    if (overlap <= 0) continue;
    const share = overlap / (end - start);
    total.seconds += overlap / 1000;
    total.issued += share * issued;
    total.replayed += share * replayed;
    for (const [reason, count] of refused) {
      total.refused.set(reason, (total.refused.get(reason) ?? 0) + share * count);
    }
  }
  return total;
}

/**
 * Reads a duration, such as `0.250s`.
 *
 * @param {string | undefined} duration
 * @returns {number} in milliseconds, 0 for none
 */
export function milliseconds(duration) {
  return Number.parseFloat(duration ?? "0") * 1000;
}
