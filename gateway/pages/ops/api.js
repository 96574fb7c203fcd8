/** The operators' API: what may be asked, and the stream of what happens. */

import { asked, fetchByTheClock, refused } from "../common/asking.js";
import { Refused } from "../common/refused.js";
import { systemClock } from "../live-token-client/clock.js";
import { LiveTokenError, refusalOf } from "../live-token-client/errors.js";
import { Requests } from "../live-token-client/requests.js";
import { eventsOf } from "./event-stream.js";
import { isRejection } from "./rejection.js";

/**
 * @import {LiveTokensOptions} from "../live-token-client/index.js"
 * @import {Credential} from "../common/types.js"
 * @import {Block, Moment, Offender, RefusedClient} from "./types.js"
 */

const PATH = "/api/v1/operations";
const SILENCE_MS = 20_000; // the gateway says each 15 seconds that it lives

/** Asks as whoever the credential says. */
export class Operations {
  #rejected;
  /** @type {Credential} */
  #credential = { kind: "bearer", text: "" };
  /** @type {Refused | undefined} */
  #rejection;

  /** @param {(refused: Refused) => void} rejected the credential is, for what is not the stream */
  constructor(rejected) {
    this.#rejected = rejected;
  }

  /** @param {Credential} credential */
  set credential(credential) {
    this.#credential = credential;
    this.#rejection = undefined;
  }

  /**
   * Asks nothing more but the stream, until there is another credential or the stream takes it.
   *
   * @param {Refused} rejection
   */
  isRejected(rejection) {
    this.#rejection = rejection;
  }

  /**
   * Yields what becomes of the requests, once a second, until the service asks to come again.
   *
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<Moment>}
   * @throws {Refused}
   */
  async *watch(signal) {
    const silence = new Silence();
    const { answer, traceId } = await asked(this.#credential, (how) =>
      opened(how, AbortSignal.any([signal, silence.signal])),
    );
    this.#rejection = undefined;
    try {
      for await (const { event, data } of eventsOf(bodyOf(answer), () => silence.isBroken())) {
        if (event === "end") return;
        const content = JSON.parse(data);
        if (event === "error") throw refused(refusalOf(0, content, answer.headers), traceId);
        yield content;
      }
      throw new Error("no end");
    } catch (error) {
      if (error instanceof Refused) throw error;
      const message = silence.signal.aborted ? "Nothing was heard for too long." : "The connection broke.";
      throw new Refused({ message, code: "NETWORK" }, traceId);
    } finally {
      silence.end();
    }
  }

  /**
   * Asks who was refused most.
   *
   * @returns {Promise<{clients: RefusedClient[], since: string}>}
   * @throws {Refused}
   */
  async refused() {
    return /** @type {any} */ (await this.#ask("GET", "/refused"));
  }

  /**
   * Asks for a page of the blocks.
   *
   * @param {number} size
   * @param {string} token of the page, from the one before
   * @returns {Promise<{blocks: Block[], nextPageToken: string}>}
   * @throws {Refused}
   */
  async blocks(size, token) {
    const query = new URLSearchParams({ pageSize: String(size), ...(token && { pageToken: token }) });
    return /** @type {any} */ (await this.#ask("GET", `/blocks?${query}`));
  }

  /**
   * Lifts a block.
   *
   * @param {Offender} offender
   * @param {string} reason
   * @returns {Promise<boolean>} whether there was one
   * @throws {Refused}
   */
  async lift(offender, reason) {
    const { lifted } = await this.#ask("POST", "/blocks:lift", { offender, reason });
    return lifted === true;
  }

  /**
   * Asks, but not with what was rejected: each time would count against the address.
   *
   * @param {"GET" | "POST"} method
   * @param {string} path
   * @param {object} [content]
   */
  async #ask(method, path, content) {
    if (this.#rejection) throw this.#rejection;
    const credential = this.#credential;
    const body = content && { body: JSON.stringify(content) };
    try {
      const { answer } = await asked(credential, (how) =>
        new Requests({ ...how, clock: systemClock }).ask({ method, path: PATH + path, ...body }),
      );
      return answer.body;
    } catch (error) {
      const now = credential === this.#credential && !this.#rejection;
      if (now && error instanceof Refused && isRejection(error)) this.#rejected(error);
      throw error;
    }
  }
}

/** Aborts what has been silent for too long. */
class Silence {
  #controller = new AbortController();
  #timer = this.#begun();

  get signal() {
    return this.#controller.signal;
  }

  isBroken() {
    this.end();
    this.#timer = this.#begun();
  }

  end() {
    clearTimeout(this.#timer);
  }

  #begun() {
    return setTimeout(() => this.#controller.abort(), SILENCE_MS);
  }
}

/**
 * @param {LiveTokensOptions} how
 * @param {AbortSignal} signal
 * @returns {Promise<Response>}
 */
async function opened({ credential, headers: more }, signal) {
  // JSON too: refusals are.
  const headers = new Headers({ Accept: "text/event-stream, application/json;q=0.9" });
  if (typeof credential === "string") headers.set("Authorization", `Bearer ${credential}`);
  else if (typeof credential === "object") headers.set("X-API-Key", credential.apiKey);
  const url = `${PATH}:watch`;
  for (const [name, value] of Object.entries((await more?.({ method: "GET", url })) ?? {})) {
    headers.set(name, value);
  }
  const request = /** @type {const} */ ({ credentials: "omit", redirect: "error" });
  const answer = await fetchByTheClock(url, { headers, signal, ...request }).catch((cause) => {
    throw new LiveTokenError("no answer", { code: "NETWORK", cause });
  });
  if (answer.ok && answer.headers.get("Content-Type")?.startsWith("text/event-stream")) return answer;
  const content = await answer.json().catch(() => undefined);
  throw refusalOf(answer.status, content, answer.headers);
}

/** @param {Response} answer */
function bodyOf({ body }) {
  if (!body) throw new Error("an answer without a body");
  return body;
}
