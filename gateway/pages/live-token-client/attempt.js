/** An attempt to open a Live session: what its socket says becomes a refusal, or the caller's. */

import { LiveConnectError } from "./errors.js";

/** @import { LiveToken } from "./live-token.js" */
/** @import { Clock } from "./types.d.ts" */

/**
 * @typedef {Record<string, ((...events: unknown[]) => void) | undefined>} Callbacks
 * @typedef {{ code?: number, reason?: string, message?: string }} SocketEvent
 */

// An error event, or a rejection, mostly comes just before a close event that says more.
const CLOSE_FOLLOWS_MS = 50;

export class Attempt {
  /**
   * Rejects once the session is refused; never resolves.
   *
   * @type {Promise<never>}
   */
  refused;
  /** @type {"connecting" | "connected" | "given up"} */
  #state = "connecting";
  /** @type {(reason: unknown) => void} */
  #reject = () => {};
  /** @type {Set<unknown>} */
  #timers = new Set();
  /** What an error event said; a browser's says nothing. */
  #failure = "";
  /** @type {Clock} */
  #clock;
  /** @type {LiveToken} */
  #token;
  /** @type {Callbacks} */
  #theirs;

  /**
   * @param {LiveToken} token
   * @param {Callbacks} callbacks the caller's own
   * @param {Clock} clock
   */
  constructor(token, callbacks, clock) {
    this.#token = token;
    this.#theirs = callbacks;
    this.#clock = clock;
    this.refused = new Promise((_, reject) => (this.#reject = reject));
  }

  /**
   * What to give to the SDK as callbacks.
   *
   * @returns {Callbacks}
   */
  get callbacks() {
    return {
      ...this.#theirs,
      onopen: (...events) => {
        this.#token.markUsed();
        if (this.#state !== "given up") this.#theirs.onopen?.(...events);
      },
      onclose: (event) => {
        if (this.#state === "connected") return this.#theirs.onclose?.(event);
        const { code = 1006, reason } = /** @type {SocketEvent} */ (event ?? {});
        this.refuse(code, reason || this.#failure);
      },
      onerror: (event) => {
        if (this.#state === "connected") return this.#theirs.onerror?.(event);
        this.#failure = /** @type {SocketEvent} */ (event ?? {}).message ?? "";
        this.fail(this.#failure);
      },
    };
  }

  /**
   * Refuses it, now or later; unless it is over by then.
   *
   * @param {LiveConnectError["code"]} code
   * @param {string} reason
   * @param {number} [milliseconds]
   */
  refuse(code, reason, milliseconds = 0) {
    if (this.#state !== "connecting") return;
    const shown = reason.replaceAll(this.#token.value, "[token]");
    const refuse = () => this.#reject(new LiveConnectError(code, shown));
    if (milliseconds === 0) refuse();
    else this.#timers.add(this.#clock.setTimeout(refuse, milliseconds));
  }

  /**
   * Refuses it, unless the socket tells more at once.
   *
   * @param {string} reason
   */
  fail(reason) {
    this.refuse("FAILED", reason, CLOSE_FOLLOWS_MS);
  }

  /** @param {"connected" | "given up"} how */
  end(how) {
    this.#state = how;
    for (const timer of this.#timers) this.#clock.clearTimeout(timer);
  }
}
