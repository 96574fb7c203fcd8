/** The gateway's API, by its client: one request a call, and what comes of it as it was answered. */

import { asked } from "../common/asking.js";
import { LiveTokens } from "../live-token-client/index.js";

/**
 * @import {Config, LiveToken, TokenFields, Usage} from "../live-token-client/index.js"
 * @import {Credential, Trail} from "../common/types.js"
 * @import {Places} from "./types.js"
 */

/** Calls the gateway as whoever the credential says. */
export class Api {
  /** @type {Credential} */
  credential = { kind: "bearer", text: "" };

  /**
   * Asks for a token.
   *
   * @param {TokenFields} fields
   * @returns {Promise<{token: LiveToken, trail: Trail}>}
   * @throws {import("../common/refused.js").Refused}
   */
  async mint(fields) {
    const { answer: token, traceId } = await this.#call((tokens) => tokens.requestToken(fields));
    const { requestId, decisionId } = token;
    return { token, trail: { requestId, decisionId, traceId: token.traceId ?? traceId } };
  }

  /**
   * Asks what may be asked for.
   *
   * @returns {Promise<Config>}
   * @throws {import("../common/refused.js").Refused}
   */
  async config() {
    return (await this.#call((tokens) => tokens.config())).answer;
  }

  /**
   * Asks how much of the quota is used.
   *
   * @returns {Promise<Usage>}
   * @throws {import("../common/refused.js").Refused}
   */
  async usage() {
    return (await this.#call((tokens) => tokens.usage())).answer;
  }

  /**
   * @template Answer
   * @param {(tokens: LiveTokens) => Promise<Answer>} ask
   */
  async #call(ask) {
    return asked(this.credential, (options) => ask(new LiveTokens(options)));
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
