/** A list that is asked for again and again, while somebody looks at it. */

import { Refused } from "../common/refused.js";
import { isFinal } from "./watching.js";

/** @import {Known} from "./known.js" */

const OFTEN_MS = 5_000;
const SELDOM_MS = 60_000; // where it was refused for good

/** Asks for a list from time to time. */
export class Polling {
  #ask;
  #goesOn = false;
  #turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Known} known what is said of the list
   * @param {() => Promise<() => void>} ask returns what shows the answer; fails with Refused
   */
  constructor(known, ask) {
    this.known = known;
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => {
      if (this.#goesOn && !document.hidden) this.start();
    });
  }

  /** Asks at once, and goes on. */
  start() {
    this.#goesOn = true;
    this.refresh();
  }

  /** Asks at once, and goes on if it did. */
  refresh() {
    clearTimeout(this.#timer);
    void this.#go(++this.#turn);
  }

  /** Asks no more; what is shown remains. */
  stop() {
    this.#goesOn = false;
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  /** Asks no more, and takes away what is said of the list. */
  clear() {
    this.stop();
    this.known.clear();
  }

  /** @param {number} turn */
  async #go(turn) {
    let wait = OFTEN_MS;
    if (document.hidden) this.known.isOld();
    else wait = await this.#read(turn);
    if (turn === this.#turn && this.#goesOn) this.#timer = setTimeout(() => this.#go(turn), wait);
  }

  /**
   * @param {number} turn
   * @returns {Promise<number>} how long to wait then, in milliseconds
   */
  async #read(turn) {
    const began = Date.now();
    const late = setTimeout(() => turn === this.#turn && this.known.isOld(), OFTEN_MS);
    try {
      const show = await this.#ask();
      if (turn !== this.#turn) return 0;
      this.known.isRead(began);
      if (!this.#goesOn) this.known.isOld();
      show();
      return OFTEN_MS;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn === this.#turn) this.known.isRefused(error);
      return isFinal(error) ? SELDOM_MS : OFTEN_MS;
    } finally {
      clearTimeout(late);
    }
  }
}
