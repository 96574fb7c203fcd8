/** A Live session with the official SDK, or a prompt refusal. */

import { systemClock, unlessAborted } from "./clock.js";
import { LiveConnectError } from "./errors.js";

/** @import { LiveToken } from "./live-token.js" */
/** @import { Clock } from "./types.d.ts" */

/**
 * The class `GoogleGenAI` of `@google/genai`.
 *
 * @typedef {new (options: { apiKey: string,
 *   httpOptions: { apiVersion: string, baseUrl?: string } }) =>
 *   { readonly live: { connect(params: any): Promise<any> } }} LiveSdk
 */

/**
 * What its `live.connect` takes; the model is the token's, unless told.
 *
 * @template {LiveSdk} S
 * @typedef {Omit<Parameters<InstanceType<S>["live"]["connect"]>[0], "model"> &
 *   { model?: string }} ConnectParams
 */

/**
 * @template {LiveSdk} S
 * @typedef {Awaited<ReturnType<InstanceType<S>["live"]["connect"]>>} SessionOf
 */

/**
 * @typedef {object} ConnectOptions
 * @property {AbortSignal} [signal] ends the attempt; not the session
 * @property {number} [timeoutMs] default: 15 000
 * @property {string} [baseUrl] where the Live API is, if it is not Google's
 * @property {Clock} [clock]
 */

// An error event, or a rejection, mostly comes just before a close event that says more.
const CLOSE_FOLLOWS_MS = 50;

/**
 * Opens the token's one session.
 *
 * `live.connect` of SDKs before 3 never settles when the server refuses, so it is raced
 * with the socket's close. Until it is connected, `onclose` and `onerror` of `params` are
 * not called: what they would have said is the error.
 *
 * @template {LiveSdk} S
 * @param {S} sdk
 * @param {LiveToken} token
 * @param {ConnectParams<S>} params as for `live.connect`
 * @param {ConnectOptions} [options]
 * @returns {Promise<SessionOf<S>>}
 * @throws {LiveConnectError} there is no session; where `token.used` is false, the token
 *   is still good, and the next `get` for its constraints has it
 */
export async function connect(sdk, token, params, options = {}) {
  const { signal, timeoutMs = 15_000, baseUrl, clock = systemClock } = options;
  signal?.throwIfAborted();
  if (token.used) throw new LiveConnectError("TOKEN_USED", "a token opens one session");
  const secret = token.value;
  const hide = (/** @type {unknown} */ text) => String(text ?? "").replaceAll(secret, "[token]");
  /** @type {Record<string, ((...events: unknown[]) => void) | undefined>} */
  const callbacks = params.callbacks ?? {};
  /** @type {"connecting" | "connected" | "given up"} */
  let state = "connecting";
  /** @type {Set<unknown>} */
  const timers = new Set();
  const { promise: refused, reject } = withReject();
  const refuse = (
    /** @type {LiveConnectError["code"]} */ code,
    /** @type {unknown} */ reason,
    milliseconds = 0,
  ) => {
    const run = () => reject(new LiveConnectError(code, hide(reason)));
    if (milliseconds === 0) run();
    else timers.add(clock.setTimeout(run, milliseconds));
  };

  const ai = new sdk({
    apiKey: secret,
    httpOptions: { apiVersion: token.apiVersion, ...(baseUrl === undefined ? {} : { baseUrl }) },
  });
  const connecting = Promise.resolve(
    ai.live.connect({
      ...params,
      model: params.model ?? token.model,
      callbacks: {
        ...callbacks,
        onopen: (/** @type {unknown[]} */ ...events) => {
          token.markUsed();
          if (state !== "given up") callbacks.onopen?.(...events);
        },
        onclose: (/** @type {{ code?: number, reason?: string }} */ event) => {
          if (state === "connected") callbacks.onclose?.(event);
          else refuse(event?.code ?? 1006, event?.reason);
        },
        onerror: (/** @type {{ message?: string }} */ event) => {
          if (state === "connected") callbacks.onerror?.(event);
          else refuse("FAILED", event?.message ?? "the connection failed", CLOSE_FOLLOWS_MS);
        },
      },
    }),
  );
  connecting.catch((error) => refuse("FAILED", error?.message ?? error, CLOSE_FOLLOWS_MS));
  refuse("TIMEOUT", `no session within ${timeoutMs / 1000} s`, timeoutMs);

  try {
    const session = await unlessAborted(Promise.race([unlessFailed(connecting), refused]), signal);
    state = "connected";
    return session;
  } catch (error) {
    state = "given up";
    // Who has given up does not want the session that may come yet.
    connecting.then((session) => session?.close?.()).catch(() => {});
    token.release();
    throw error;
  } finally {
    for (const timer of timers) clock.clearTimeout(timer);
  }
}

/**
 * The rejection is told in another way.
 *
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
function unlessFailed(promise) {
  return new Promise((resolve) => void promise.then(resolve, () => {}));
}

function withReject() {
  /** @type {(reason: unknown) => void} */
  let reject = () => {};
  const promise = /** @type {Promise<never>} */ (new Promise((_, no) => (reject = no)));
  promise.catch(() => {}); // the race may be over
  return { promise, reject };
}
