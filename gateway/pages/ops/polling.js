/** A list that is asked for again and again, while somebody looks at it. */

import { showRefusal } from "../common/refusal.js";
import { Refused } from "../common/refused.js";
import { isFinal } from "./watching.js";

const OFTEN_MS = 5_000;
const SELDOM_MS = 60_000; // where it was refused for good

/** Asks for a list from time to time. */
export class Polling {
  #ask;
  #place;
  #section;
  #stopRefusal = () => {};
  #turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} place for a refusal
   * @param {() => Promise<() => void>} ask returns what shows the answer; fails with Refused
   */
  constructor(place, ask) {
    this.#place = place;
    this.#section = place.closest("section");
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => {
      if (this.#timer !== undefined && !document.hidden) this.start();
    });
  }

  /** Asks at once, and goes on. */
  start() {
    this.stop();
    void this.#go(this.#turn);
  }

  /** Asks no more; what is shown remains. */
  stop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Takes a refusal away. */
  clear() {
    this.stop();
    this.#mend();
  }

  /** @param {number} turn */
  async #go(turn) {
    let wait = OFTEN_MS;
    try {
      const show = document.hidden ? undefined : await this.#ask();
      if (turn !== this.#turn) return;
      if (show) {
        this.#mend();
        show();
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn !== this.#turn) return;
      this.#mend();
      this.#stopRefusal = showRefusal(this.#place, error);
      this.#section?.classList.add("stale");
      if (isFinal(error)) wait = SELDOM_MS;
    }
    this.#timer = setTimeout(() => this.#go(turn), wait);
  }

  #mend() {
    this.#stopRefusal();
    this.#stopRefusal = () => {};
    this.#place.replaceChildren();
    this.#section?.classList.remove("stale");
  }
}
