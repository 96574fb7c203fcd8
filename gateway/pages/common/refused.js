/** What the gateway did not do, as it said so. */

/**
 * @import {LiveTokenError} from "../live-token-client/index.js"
 * @import {Detail, Trail} from "./types.js"
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
