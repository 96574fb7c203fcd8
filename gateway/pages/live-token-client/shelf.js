/** Tokens of one kind that wait for somebody to use them. */

/** @import { LiveToken } from "./live-token.js" */
/** @import { TokenFields } from "./types.d.ts" */

export class Shelf {
  /** @type {Set<LiveToken>} */
  #tokens = new Set();
  /** The request for a token that is under way: one at a time. @type {Promise<void> | undefined} */
  pending;
  /** Stops the renewal of what waits here. @type {(() => void) | undefined} */
  stopRenewal;

  /** @param {LiveToken} token */
  put(token) {
    this.#tokens.add(token);
  }

  /**
   * Takes a token away, the one that opens sessions for the shortest time.
   *
   * @param {number} leastMs the time for which it has to open a session, at least
   */
  take(leastMs) {
    // One that was released may have been used since: a socket can open late.
    const found = [...this.#tokens]
      .filter((token) => !token.used && token.opensForMs() >= leastMs)
      .sort((a, b) => a.opensForMs() - b.opensForMs())[0];
    if (found) {
      this.#tokens.delete(found);
      this.stopRenewal?.();
    }
    return found;
  }

  /** Throws away what opens nothing any more. */
  sweep() {
    for (const token of this.#tokens) if (token.opensForMs() === 0) this.#tokens.delete(token);
  }

  /** Throws away everything. */
  clear() {
    this.#tokens.clear();
    this.stopRenewal?.();
  }

  /** For how many milliseconds something here opens a session. */
  opensForMs() {
    return Math.max(0, ...[...this.#tokens].map((token) => token.opensForMs()));
  }

  get empty() {
    return this.#tokens.size === 0 && !this.pending && !this.stopRenewal;
  }
}

/**
 * The same text for the same constraints, however they are written.
 *
 * @param {TokenFields} fields
 */
export function canonical(fields) {
  /** @param {string} name @param {unknown} value */
  const plain = (name, value) =>
    name === "responseModality" && typeof value === "string" ? value.toUpperCase() : value;
  return JSON.stringify(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, plain(name, value)])
      .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  );
}
