/** One ephemeral token. */

/** @import { Clock, TokenAnswer } from "./types.d.ts" */

/**
 * A token, for one Live session. Its secret is `value` alone: neither JSON, nor
 * the console, nor a template string, nor a copy of the object has it.
 */
export class LiveToken {
  /**
   * From then on it opens nothing, and its session is closed; by the server's clock.
   *
   * @readonly
   */
  expiresAt;
  /**
   * The last moment to open a session, by the server's clock.
   *
   * @readonly
   */
  sessionStartWindow;
  /**
   * What it is locked to.
   *
   * @readonly
   */
  constraints;
  /**
   * The caller's quota when the token was issued.
   *
   * @readonly
   */
  usage;
  /**
   * The Live API version to connect with.
   *
   * @readonly
   */
  apiVersion;
  /** @readonly */
  decisionId;
  /** @readonly */
  requestId;
  /** @readonly */
  traceId;
  /** @type {string} */
  #value;
  #used = false;
  /** @type {() => number} */
  #now;
  /** @type {(token: LiveToken) => void} */
  #release;

  /**
   * @param {TokenAnswer} answer
   * @param {{ clock: Clock, skewMs?: number, release?: (token: LiveToken) => void,
   *   requestId?: string | undefined, traceId?: string | undefined }} context `skewMs`: by how much the server's clock is ahead
   */
  constructor(answer, { clock, skewMs = 0, release = () => {}, requestId, traceId }) {
    this.#value = answer.token;
    this.#now = () => clock.now() + skewMs;
    this.#release = release;
    this.expiresAt = new Date(answer.expiresAt);
    this.sessionStartWindow = new Date(answer.sessionStartWindow);
    this.constraints = answer.constraints;
    this.usage = answer.usage;
    this.apiVersion = answer.apiVersion ?? "v1beta";
    this.decisionId = answer.decisionId;
    this.requestId = requestId;
    this.traceId = traceId;
  }

  /** The secret, `auth_tokens/…`: give it to an SDK as its API key, and keep it nowhere. */
  get value() {
    return this.#value;
  }

  /** The model it is locked to. */
  get model() {
    return this.constraints.model;
  }

  /** Whether its one session was opened. */
  get used() {
    return this.#used;
  }

  /** For how many more milliseconds it opens a session; 0: not any more. */
  opensForMs() {
    return this.#used ? 0 : Math.max(0, this.sessionStartWindow.getTime() - this.#now());
  }

  /** Says that its one session was opened. `connect` does this by itself. */
  markUsed() {
    this.#used = true;
  }

  /**
   * Gives it back to the cache it is from, unless it was used: the next `get` for the same
   * constraints has it. `connect` does this if it did not reach the server.
   */
  release() {
    if (!this.#used) this.#release(this);
  }

  toJSON() {
    const { constraints, expiresAt, sessionStartWindow, apiVersion, used } = this;
    return { constraints, expiresAt, sessionStartWindow, apiVersion, used };
  }

  toString() {
    return `LiveToken(${this.model}, opens until ${this.sessionStartWindow.toISOString()})`;
  }

  /** What Node's console shows. */
  [Symbol.for("nodejs.util.inspect.custom")]() {
    return this.toString();
  }
}
