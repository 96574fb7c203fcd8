/** Where a program gets its tokens. */

import { inBackground, systemClock, unlessAborted } from "./clock.js";
import { LiveTokenError } from "./errors.js";
import { LiveToken } from "./live-token.js";
import { Requests } from "./requests.js";
import { Shelf, canonical } from "./shelf.js";

/** @import { Clock, Config, LiveTokensOptions } from "./types.d.ts" */
/** @import { TokenAnswer, TokenFields, Usage } from "./types.d.ts" */

const PATH = "/api/v1/live-token";
const SHORTEST_RENEWAL_MS = 1000;

/** Tokens of one user: make another, or `clear` this one, when the user changes. */
export class LiveTokens {
  /** @type {Requests} */
  #requests;
  /** @type {Clock} */
  #clock;
  /** @type {number} */
  #marginMs;
  /** By canonical constraints. @type {Map<string, Shelf>} */
  #shelves = new Map();
  /**
   * By the user asked for; "" is the caller.
   *
   * @type {Map<string, { error: LiveTokenError, until: number }>}
   */
  #refusals = new Map();
  #life = new AbortController();

  /** @param {LiveTokensOptions} options */
  constructor({ clock = systemClock, marginMs = 15_000, ...options }) {
    this.#clock = clock;
    this.#marginMs = marginMs;
    this.#requests = new Requests({ ...options, clock });
  }

  /**
   * Asks for a new token, whatever is cached. A lost answer costs no second token: all
   * attempts have one idempotency key.
   *
   * @param {TokenFields} [fields]
   * @param {{ signal?: AbortSignal, idempotencyKey?: string }} [options]
   * @returns {Promise<LiveToken>}
   * @throws {LiveTokenError} there is no token
   */
  requestToken(fields = {}, { signal, idempotencyKey } = {}) {
    return this.#request(fields, { signal, idempotencyKey });
  }

  /**
   * A token for `constraints` that nobody else has: one that waits, because it was
   * prefetched or released, or else a new one. A caller that aborts leaves the request to
   * whoever asks next, as it may have cost quota already.
   *
   * @param {TokenFields} [constraints]
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<LiveToken>}
   * @throws {LiveTokenError} there is no token; while its `retryAfter` lasts, without a request
   */
  async get(constraints = {}, { signal } = {}) {
    for (;;) {
      signal?.throwIfAborted();
      const shelf = this.#shelf(constraints);
      const waiting = shelf.take(this.#marginMs);
      if (waiting) return waiting;
      try {
        await unlessAborted(this.#restock(shelf, constraints), signal);
      } catch (error) {
        // One whose time is nearly over is better than none.
        const last = error instanceof LiveTokenError ? shelf.take(1) : undefined;
        if (last) return last;
        throw error;
      }
      // A new one is handed out even if its time seems to be over: this clock may be wrong.
      const fresh = shelf.take(this.#marginMs) ?? shelf.take(0);
      if (fresh) return fresh;
    }
  }

  /**
   * Sees to it that a token waits for the next `get`. With `renew`, one goes on waiting
   * until it is taken or `signal` aborts: each renewal costs quota. A renewal that is
   * refused is tried again when its wait is over, and given up where there is none.
   *
   * @param {TokenFields} [constraints]
   * @param {{ signal?: AbortSignal, renew?: boolean }} [options]
   * @returns {Promise<void>}
   * @throws {LiveTokenError} there is no token, and none will be waiting
   */
  async prefetch(constraints = {}, { signal, renew = false } = {}) {
    signal?.throwIfAborted();
    const shelf = this.#shelf(constraints);
    if (shelf.opensForMs() < this.#marginMs) {
      try {
        await unlessAborted(this.#restock(shelf, constraints), signal);
      } catch (error) {
        if (!(error instanceof LiveTokenError) || shelf.opensForMs() === 0) throw error;
      }
    }
    if (renew) this.#renew(shelf, constraints, signal);
  }

  /**
   * The user's quota.
   *
   * @param {{ signal?: AbortSignal, onBehalfOf?: string }} [options]
   * @returns {Promise<Usage>}
   */
  async usage(options = {}) {
    return /** @type {Usage} */ (await this.#data("usage", options));
  }

  /**
   * The models, durations and limits in force.
   *
   * @param {{ signal?: AbortSignal, onBehalfOf?: string }} [options]
   * @returns {Promise<Config>}
   */
  async config(options = {}) {
    return /** @type {Config} */ (await this.#data("config", options));
  }

  /** Forgets every token and refusal, and ends what is under way: `CLEARED`. */
  clear() {
    for (const shelf of this.#shelves.values()) shelf.clear();
    this.#shelves.clear();
    this.#refusals.clear();
    this.#life.abort(new LiveTokenError("the tokens were cleared", { code: "CLEARED" }));
    this.#life = new AbortController();
  }

  /**
   * @param {TokenFields} fields
   * @param {{ signal?: AbortSignal | undefined, idempotencyKey?: string | undefined,
   *   release?: (token: LiveToken) => void }} options
   */
  async #request(fields, { signal, idempotencyKey = newKey(), ...options }) {
    const refusals = this.#refusals;
    try {
      const answer = await this.#requests.ask({
        method: "POST",
        path: PATH,
        body: JSON.stringify(fields),
        idempotencyKey,
        signal,
      });
      const { body, skewMs, requestId, traceId } = answer;
      if (!isToken(body)) {
        const what = { status: 200, code: "UNREADABLE_ANSWER", requestId, traceId };
        throw new LiveTokenError("the answer has no token", what);
      }
      const context = { clock: this.#clock, skewMs, requestId, traceId, ...options };
      return new LiveToken(body, context);
    } catch (error) {
      // A conflict is about one key, and the next request has another.
      if (error instanceof LiveTokenError && error.retryAfter && error.status !== 409) {
        const until = this.#clock.now() + error.retryAfter * 1000;
        refusals.set(fields.onBehalfOf ?? "", { error, until });
      }
      throw error;
    }
  }

  /**
   * Puts a new token on the shelf; callers at the same time share one request.
   *
   * @param {Shelf} shelf
   * @param {TokenFields} constraints
   * @returns {Promise<void>}
   */
  #restock(shelf, constraints) {
    if (shelf.pending) return shelf.pending;
    const refusal = this.#refusal(constraints);
    if (refusal) return Promise.reject(refusal);
    const { signal } = this.#life;
    const release = (/** @type {LiveToken} */ token) => {
      if (!signal.aborted) this.#shelf(constraints).put(token);
    };
    shelf.pending = this.#request(constraints, { signal, release })
      .then((token) => shelf.put(token))
      .finally(() => {
        shelf.pending = undefined;
      });
    return shelf.pending;
  }

  /**
   * @param {Shelf} shelf
   * @param {TokenFields} constraints
   * @param {AbortSignal | undefined} signal
   */
  #renew(shelf, constraints, signal) {
    shelf.stopRenewal?.();
    /** @type {unknown} */
    let timer;
    const stop = () => {
      this.#clock.clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      if (shelf.stopRenewal === stop) shelf.stopRenewal = undefined;
    };
    const later = (/** @type {number} */ milliseconds) => {
      timer = inBackground(this.#clock, renew, Math.max(milliseconds, SHORTEST_RENEWAL_MS));
    };
    const untilRenewal = () => shelf.opensForMs() - this.#marginMs;
    const renew = () =>
      this.#restock(shelf, constraints).then(
        () => {
          if (shelf.stopRenewal !== stop) return;
          // Where new ones seem old, this clock is wrong, and renewing would not end.
          if (untilRenewal() > 0) later(untilRenewal());
          else stop();
        },
        (error) => {
          if (shelf.stopRenewal !== stop) return;
          if (error instanceof LiveTokenError && error.retryAfter) later(error.retryAfter * 1000);
          else stop();
        },
      );
    shelf.stopRenewal = stop;
    signal?.addEventListener("abort", stop, { once: true });
    later(untilRenewal());
  }

  /** @param {TokenFields} constraints */
  #shelf(constraints) {
    for (const [key, shelf] of this.#shelves) {
      shelf.sweep();
      if (shelf.empty) this.#shelves.delete(key);
    }
    const key = canonical(constraints);
    const shelf = this.#shelves.get(key) ?? new Shelf();
    this.#shelves.set(key, shelf);
    return shelf;
  }

  /** @param {TokenFields} constraints */
  #refusal({ onBehalfOf = "" }) {
    const now = this.#clock.now();
    for (const [user, { until }] of this.#refusals) if (until <= now) this.#refusals.delete(user);
    const refusal = this.#refusals.get(onBehalfOf);
    return refusal?.error.again(Math.ceil((refusal.until - now) / 1000));
  }

  /**
   * @param {string} name
   * @param {{ signal?: AbortSignal, onBehalfOf?: string }} options
   */
  async #data(name, { signal, onBehalfOf }) {
    const query = onBehalfOf === undefined ? "" : `?${new URLSearchParams({ onBehalfOf })}`;
    const path = `${PATH}/${name}${query}`;
    const answer = await this.#requests.ask({ method: "GET", path, signal });
    return answer.body.data;
  }
}

/** A key that nobody else has; `crypto.randomUUID` is only there in secure contexts. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Record<string, unknown>} body
 * @returns {body is Record<string, unknown> & TokenAnswer}
 */
function isToken(body) {
  return (
    typeof body.token === "string" &&
    typeof body.constraints === "object" &&
    body.constraints !== null &&
    [body.expiresAt, body.sessionStartWindow].every((at) => !Number.isNaN(Date.parse(String(at))))
  );
}
