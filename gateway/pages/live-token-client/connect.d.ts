/** A Live session with the official SDK, or a prompt refusal. */
import type { LiveToken } from "./live-token.js";
import type { Clock } from "./types.d.ts";
export type LiveSdk = new (options: {
    apiKey: string;
    httpOptions: {
        apiVersion: string;
        baseUrl?: string;
    };
}) => {
    readonly live: {
        connect(params: any): Promise<any>;
    };
};
export type ConnectParams<S extends LiveSdk> = Omit<Parameters<InstanceType<S>["live"]["connect"]>[0], "model"> & {
    model?: string;
};
export type SessionOf<S extends LiveSdk> = Awaited<ReturnType<InstanceType<S>["live"]["connect"]>>;
export type ConnectOptions = {
    /**
     * ends the attempt; not the session
     */
    signal?: AbortSignal;
    /**
     * default: 15 000
     */
    timeoutMs?: number;
    /**
     * where the Live API is, if it is not Google's
     */
    baseUrl?: string;
    clock?: Clock;
};
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
export declare function connect<S extends LiveSdk>(sdk: S, token: LiveToken, params: ConnectParams<S>, options?: ConnectOptions): Promise<SessionOf<S>>;
