/** Requests to the gateway, repeated where that is safe and helps. */

import { inBackground, sleep, unlessAborted } from "./clock.js";
import { LiveTokenError, refusalOf } from "./errors.js";

/** @import { Clock, Credential, LiveTokensOptions } from "./types.d.ts" */

/**
 * @typedef {{ method: "GET" | "POST", path: string, body?: string,
 *   idempotencyKey?: string, signal?: AbortSignal | undefined }} Wanted
 * @typedef {{ body: Record<string, unknown>, requestId: string | undefined,
 *   traceId: string | undefined, skewMs: number }} Answer `skewMs`: by how much the server's clock is ahead
 */

const FIRST_WAIT_MS = 250;
const REPEATED_STATUSES = [408, 503, 504];

export class Requests {
  /** @type {string} */
  #baseUrl;
  /** @type {Required<Omit<LiveTokensOptions, "baseUrl" | "marginMs">>} */
  #options;

  /** @param {LiveTokensOptions & { clock: Clock }} options */
  constructor({
    baseUrl = globalThis.location?.origin,
    credential,
    headers = () => ({}),
    fetch = (url, request) => globalThis.fetch(url, request), // a page may replace it later
    clock,
    timeoutMs = 30_000,
    attemptTimeoutMs = 12_000,
    attempts = 4,
  }) {
    this.#baseUrl = checkedBaseUrl(baseUrl);
    this.#options = { credential, headers, fetch, clock, timeoutMs, attemptTimeoutMs, attempts };
  }

  /**
   * Asks until there is an answer, no time is left, or asking again would not help.
   *
   * @param {Wanted} wanted
   * @returns {Promise<Answer>}
   */
  async ask(wanted) {
    const { clock, timeoutMs, attempts } = this.#options;
    const deadline = clock.now() + timeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(wanted, deadline - clock.now());
      } catch (error) {
        if (attempt >= attempts || !isWorthRepeating(error)) throw error;
        // Not all clients at once, and never before they were told to.
        const jittered = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
        const wait = Math.max(jittered, (error.retryAfter ?? 0) * 1000);
        if (clock.now() + wait >= deadline) throw error;
        await sleep(clock, wait, wanted.signal);
      }
    }
  }

  /**
   * @param {Wanted} wanted
   * @param {number} millisecondsLeft
   * @returns {Promise<Answer>}
   */
  async #attempt(wanted, millisecondsLeft) {
    const { clock, attemptTimeoutMs } = this.#options;
    const { signal } = wanted;
    signal?.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const timer = inBackground(
      clock,
      () => controller.abort(new LiveTokenError("no answer in time", { code: "TIMEOUT" })),
      Math.min(attemptTimeoutMs, millisecondsLeft),
    );
    try {
      return await unlessAborted(this.#send(wanted, controller.signal), controller.signal);
    } finally {
      clock.clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * @param {Wanted} wanted
   * @param {AbortSignal} signal
   * @returns {Promise<Answer>}
   */
  async #send({ method, path, body, idempotencyKey }, signal) {
    const url = this.#baseUrl + path;
    const headers = await this.#headers(method, url);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    if (idempotencyKey !== undefined) headers.set("Idempotency-Key", idempotencyKey);
    const { clock, fetch } = this.#options;
    const sentAt = clock.now();
    let response, text;
    try {
      response = await fetch(url, {
        method,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
        // No `cache`: answers say no-store themselves, and Chromium's cache of preflights
        // is off for a request that says it.
        credentials: "omit", // the credential is a header
        redirect: "error", // and goes nowhere else
      });
      text = await response.text();
    } catch (cause) {
      throw new LiveTokenError("the gateway could not be reached", { code: "NETWORK", cause });
    }
    const content = parsed(text);
    if (content?.success !== true) {
      throw refusalOf(response.status, content, response.headers);
    }
    const served = Date.parse(response.headers.get("Date") ?? "");
    return {
      body: content,
      requestId: response.headers.get("X-Request-Id") ?? undefined,
      traceId: response.headers.get("X-Trace-Id") ?? undefined,
      skewMs: Number.isNaN(served) ? 0 : served - sentAt,
    };
  }

  /**
   * @param {string} method
   * @param {string} url
   */
  async #headers(method, url) {
    const { credential, headers: more } = this.#options;
    const given = typeof credential === "function" ? await credential() : credential;
    const asked = await more({ method, url });
    try {
      const headers = new Headers({ Accept: "application/json", ...credentialHeader(given) });
      for (const [name, value] of Object.entries(asked)) headers.set(name, value);
      return headers;
    } catch {
      // What the platform says of a bad header has the credential in it.
      throw new TypeError("the credential, or another header, is no text that a header can have");
    }
  }
}

/** @param {Credential} credential */
function credentialHeader(credential) {
  if (typeof credential === "string") return { Authorization: `Bearer ${credential}` };
  if (typeof credential.apiKey === "string") return { "X-API-Key": credential.apiKey };
  throw new TypeError(); // a program without types
}

/**
 * @param {unknown} error
 * @returns {error is LiveTokenError}
 */
function isWorthRepeating(error) {
  return (
    error instanceof LiveTokenError &&
    (error.code === "NETWORK" ||
      error.code === "TIMEOUT" ||
      error.code === "IDEMPOTENCY_KEY_IN_USE" ||
      REPEATED_STATUSES.includes(error.status))
  );
}

/** @param {string | URL | undefined} given */
function checkedBaseUrl(given) {
  const url = URL.canParse(String(given)) ? new URL(String(given)) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.href !== url.origin + url.pathname) {
    // Not repeated: there may be a password in it.
    throw new TypeError("baseUrl: has to be http or https, without user, query and fragment");
  }
  return url.href.replace(/\/+$/, "");
}

/**
 * @param {string} text
 * @returns {Record<string, unknown> | undefined}
 */
function parsed(text) {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
