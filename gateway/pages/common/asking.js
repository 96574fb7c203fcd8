/** One request to the gateway a call, by the client's means, and what comes of it as it was answered. */

import { LiveTokenError } from "../live-token-client/errors.js";
import * as clock from "./clock.js";
import { Refused } from "./refused.js";
import { newTrace } from "./trace-context.js";

/**
 * @import {LiveTokensOptions} from "../live-token-client/index.js"
 * @import {Credential} from "./types.js"
 */

/**
 * Asks as whoever the credential says, in a trace of its own.
 *
 * @template Answer
 * @param {Credential} credential
 * @param {(options: LiveTokensOptions) => Promise<Answer>} ask
 * @returns {Promise<{answer: Answer, traceId: string}>}
 * @throws {Refused}
 */
export async function asked(credential, ask) {
  const { traceId, traceparent } = newTrace();
  const options = {
    credential: presented(credential),
    headers: () => ({ traceparent }),
    fetch: fetchByTheClock,
    attempts: 1, // what goes wrong shall be seen
  };
  try {
    return { answer: await ask(options), traceId };
  } catch (error) {
    throw explained(error, traceId);
  }
}

/**
 * Returns a credential as the client takes it.
 *
 * @param {Credential} credential
 * @returns {string | {apiKey: string}}
 */
export function presented({ kind, text }) {
  const bare = text.trim();
  return kind === "api-key" && bare ? { apiKey: bare } : bare.replace(/^bearer\s+/i, "");
}

/**
 * Fetches, and sets the clock by the answer.
 *
 * @param {string} url
 * @param {RequestInit} request
 */
export async function fetchByTheClock(url, request) {
  const answer = await fetch(url, request);
  clock.setBy(answer.headers.get("Date"));
  return answer;
}

/**
 * Returns what the client says went wrong, as the page has it.
 *
 * @param {LiveTokenError} error
 * @param {string} traceId
 * @param {string} [message] instead of the error's own
 * @returns {Refused}
 */
export function refused(error, traceId, message = error.message) {
  const { code, status, retryAfter, limit, details, requestId, decisionId } = error;
  return new Refused(
    { message, code, status, retryAfter, limit, details, requestId, decisionId },
    traceId,
  );
}

/**
 * @param {unknown} error
 * @param {string} traceId
 */
function explained(error, traceId) {
  if (!(error instanceof LiveTokenError)) {
    const message = "The credential is no text that a header can carry.";
    return new Refused({ message, code: "NOT_SENT" }, traceId);
  }
  const message = error.status ? error.message : "The gateway did not answer.";
  return refused(error, error.traceId ?? traceId, message);
}
