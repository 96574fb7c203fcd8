/** Ephemeral Gemini Live tokens, in browsers and in Node: see README.md. */
export type Clock = import("./types.d.ts").Clock;
export type Config = import("./types.d.ts").Config;
export type Credential = import("./types.d.ts").Credential;
export type LiveTokensOptions = import("./types.d.ts").LiveTokensOptions;
export type TokenConstraints = import("./types.d.ts").TokenConstraints;
export type TokenFields = import("./types.d.ts").TokenFields;
export type Usage = import("./types.d.ts").Usage;
export type ConnectOptions = import("./connect.js").ConnectOptions;
export type LiveSdk = import("./connect.js").LiveSdk;
export type ConnectParams<S extends LiveSdk> = import("./connect.js").ConnectParams<S>;
export type SessionOf<S extends LiveSdk> = import("./connect.js").SessionOf<S>;
/**
 * @typedef {import("./types.d.ts").Clock} Clock
 * @typedef {import("./types.d.ts").Config} Config
 * @typedef {import("./types.d.ts").Credential} Credential
 * @typedef {import("./types.d.ts").LiveTokensOptions} LiveTokensOptions
 * @typedef {import("./types.d.ts").TokenConstraints} TokenConstraints
 * @typedef {import("./types.d.ts").TokenFields} TokenFields
 * @typedef {import("./types.d.ts").Usage} Usage
 * @typedef {import("./connect.js").ConnectOptions} ConnectOptions
 * @typedef {import("./connect.js").LiveSdk} LiveSdk
 */
/**
 * @template {LiveSdk} S
 * @typedef {import("./connect.js").ConnectParams<S>} ConnectParams
 */
/**
 * @template {LiveSdk} S
 * @typedef {import("./connect.js").SessionOf<S>} SessionOf
 */
export { connect } from "./connect.js";
export { LiveConnectError, LiveTokenError } from "./errors.js";
export { LiveToken } from "./live-token.js";
export { LiveTokens } from "./live-tokens.js";
