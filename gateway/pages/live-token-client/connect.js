/** A Live session with the official SDK, or a prompt refusal. */

import { Attempt } from "./attempt.js";
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
  const attempt = new Attempt(token, params.callbacks ?? {}, clock);
  const model = params.model ?? token.model;
  const connecting = open(sdk, token, { ...params, model, callbacks: attempt.callbacks }, baseUrl);
  connecting.catch((error) => attempt.fail(String(error?.message ?? error)));
  attempt.refuse("TIMEOUT", `no session within ${timeoutMs / 1000} s`, timeoutMs);
  // How `connecting` failed is told by `refused`.
  const connected = new Promise((resolve) => void connecting.then(resolve, () => {}));
  try {
    const session = await unlessAborted(Promise.race([connected, attempt.refused]), signal);
    attempt.end("connected");
    return session;
  } catch (error) {
    attempt.end("given up");
    // Who has given up does not want the session that may come yet.
    connecting.then((session) => session?.close?.()).catch(() => {});
    token.release();
    throw error;
  }
}

/**
 * @param {LiveSdk} sdk
 * @param {LiveToken} token
 * @param {object} params
 * @param {string | undefined} baseUrl
 */
async function open(sdk, token, params, baseUrl) {
  const elsewhere = baseUrl === undefined ? {} : { baseUrl };
  const httpOptions = { apiVersion: token.apiVersion, ...elsewhere };
  return new sdk({ apiKey: token.value, httpOptions }).live.connect(params);
}
