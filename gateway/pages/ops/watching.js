/** Watches the stream, and comes again when it ends or breaks, each time a little later. */

import { Refused } from "../common/refused.js";

/**
 * @import {Operations} from "./api.js"
 * @import {Moment, State} from "./types.js"
 */

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
const STEADY_MS = 10_000; // what lasted as long was no failure to begin with
const SOON_MS = 250; // the service asked to come again
const MAY_PASS = [0, 408, 429];
const WILL_NOT_PASS = [
  "ADDRESS_BLOCKED",
  "FAILED_PRECONDITION",
  "NOT_SENT",
  "PERMISSION_DENIED",
  "UNAUTHENTICATED",
  "UNIMPLEMENTED",
  "USER_BLOCKED",
];

/**
 * Returns whether it is no use to ask the same again.
 *
 * @param {Refused} refused
 * @returns {boolean}
 */
export function isFinal({ status, code }) {
  return WILL_NOT_PASS.includes(code) || (status < 500 && !MAY_PASS.includes(status));
}

/** A watch over the service, which one can begin and end. */
export class Watching {
  #operations;
  #then;
  #connection = 0;
  #ending = new AbortController();
  #hurry = () => {};

  /**
   * @param {Operations} operations
   * @param {object} then
   * @param {(state: State, refused?: Refused) => void} then.state it stands otherwise
   * @param {(moment: Moment, connection: number) => void} then.moment
   */
  constructor(operations, then) {
    this.#operations = operations;
    this.#then = then;
  }

  /**
   * Begins anew.
   *
   * @returns {Promise<void>} until the first moment came
   * @throws {Refused} if nothing came; it may try further on
   */
  begin() {
    this.end();
    this.#ending = new AbortController();
    return new Promise((resolve, reject) => {
      void this.#watch(this.#ending.signal, resolve, reject);
    });
  }

  /** Ends, without a word. */
  end() {
    this.#ending.abort();
  }

  /** Waits no longer. */
  hurry() {
    this.#hurry();
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} live
   * @param {(refused: Refused) => void} failed
   */
  async #watch(signal, live, failed) {
    for (let failures = 0; !signal.aborted; ) {
      this.#then.state({ kind: "connecting" });
      const began = Date.now();
      const refused = await this.#connect(signal, live);
      if (signal.aborted) return;
      if (refused) failed(refused);
      if (refused && isFinal(refused)) {
        this.#then.state({ kind: "stopped", why: refused.message }, refused);
        return;
      }
      failures = Date.now() - began >= STEADY_MS ? 0 : failures + 1;
      const planned = !refused && failures === 0;
      const wait = planned ? SOON_MS : waitAfter(failures, refused?.retryAfter);
      const why = refused?.message ?? "The service asked to come again.";
      this.#then.state({ kind: "waiting", why, until: Date.now() + wait, planned }, refused);
      await this.#sleep(wait, signal);
    }
  }

  /**
   * @param {AbortSignal} signal
   * @param {() => void} live
   * @returns {Promise<Refused | undefined>} how it ended, if not well
   */
  async #connect(signal, live) {
    const connection = ++this.#connection;
    let first = true;
    try {
      for await (const moment of this.#operations.watch(signal)) {
        if (signal.aborted) return undefined;
        if (first) {
          this.#then.state({ kind: "live" });
          live();
          first = false;
        }
        this.#then.moment(moment, connection);
      }
      return undefined;
    } catch (error) {
      if (error instanceof Refused) return error;
      throw error;
    }
  }

  /**
   * @param {number} milliseconds
   * @param {AbortSignal} signal
   */
  #sleep(milliseconds, signal) {
    return new Promise((resolve) => {
      this.#hurry = () => resolve(undefined);
      setTimeout(resolve, milliseconds);
      signal.addEventListener("abort", resolve, { once: true });
    });
  }
}

/**
 * @param {number} failures in a row
 * @param {number} [retryAfter] in seconds
 */
function waitAfter(failures, retryAfter = 0) {
  const growing = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, failures - 1));
  return Math.max(growing * (0.8 + 0.2 * Math.random()), retryAfter * 1000);
}
