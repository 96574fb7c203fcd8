/** The gateway's API, by its client: one request a call, and what comes of it as it was answered. */

import { LiveTokenError, LiveTokens } from "../live-token-client/index.js";
import * as clock from "./clock.js";
import { newTrace } from "./trace-context.js";

/**
 * @import {Config, LiveToken, TokenFields, Usage} from "../live-token-client/index.js"
 * @import {Credential, Detail, Places, Trail} from "./types.js"
 */

/** No success: an answer that says so, or no answer, and then its status is 0. */
export class Refused extends Error {
  /**
   * @param {Partial<LiveTokenError> & {message: string, code: string}} error
   * @param {string} traceId
   */
  constructor({ message, code, status = 0, retryAfter, limit, details = [], ...found }, traceId) {
    super(message);
    this.name = "Refused";
    this.code = code;
    this.status = status;
    /** In seconds. */
    this.retryAfter = retryAfter;
    /** Such as `cooldown`. */
    this.limit = limit;
    this.details = /** @type {Detail[]} */ (/** @type {unknown} */ (details));
    /** @type {Trail} */
    this.trail = { ...found, traceId };
  }

  /** What is wrong with which field. */
  get wrongFields() {
    return this.details.flatMap(({ fieldViolations = [] }) => fieldViolations);
  }
}

/** Calls the gateway as whoever the credential says. */
export class Api {
  /** @type {Credential} */
  credential = { kind: "bearer", text: "" };

  /**
   * Asks for a token.
   *
   * @param {TokenFields} fields
   * @returns {Promise<{token: LiveToken, trail: Trail}>}
   * @throws {Refused}
   */
  async mint(fields) {
    const { answer: token, traceId } = await this.#call((tokens) => tokens.requestToken(fields));
    const { requestId, decisionId } = token;
    return { token, trail: { requestId, decisionId, traceId } };
  }

  /**
   * Asks what may be asked for.
   *
   * @returns {Promise<Config>}
   * @throws {Refused}
   */
  async config() {
    return (await this.#call((tokens) => tokens.config())).answer;
  }

  /**
   * Asks how much of the quota is used.
   *
   * @returns {Promise<Usage>}
   * @throws {Refused}
   */
  async usage() {
    return (await this.#call((tokens) => tokens.usage())).answer;
  }

  /**
   * @template Answer
   * @param {(tokens: LiveTokens) => Promise<Answer>} ask
   */
  async #call(ask) {
    const { traceId, traceparent } = newTrace();
    const tokens = new LiveTokens({
      credential: presented(this.credential),
      headers: () => ({ traceparent }),
      fetch: fetchByTheClock,
      attempts: 1, // what goes wrong shall be seen
    });
    try {
      return { answer: await ask(tokens), traceId };
    } catch (error) {
      throw new Refused(explained(error), traceId);
    }
  }
}

/**
 * Reads where the page shall talk to.
 *
 * @returns {Promise<Places>}
 */
export async function places() {
  const answer = await fetch(new URL("config.json", import.meta.url), { cache: "no-store" });
  return answer.json();
}

/**
 * @param {Credential} credential
 * @returns {string | {apiKey: string}}
 */
function presented({ kind, text }) {
  const bare = text.trim();
  return kind === "api-key" && bare ? { apiKey: bare } : bare.replace(/^bearer\s+/i, "");
}

/**
 * @param {string} url
 * @param {RequestInit} request
 */
async function fetchByTheClock(url, request) {
  const answer = await fetch(url, request);
  clock.setBy(answer.headers.get("Date"));
  return answer;
}

/** @param {unknown} error */
function explained(error) {
  if (!(error instanceof LiveTokenError)) {
    return { message: "The credential is no text that a header can carry.", code: "NOT_SENT" };
  }
  const { code, status, retryAfter, limit, details, requestId, decisionId } = error;
  const message = status ? error.message : "The gateway did not answer.";
  return { message, code, status, retryAfter, limit, details, requestId, decisionId };
}
