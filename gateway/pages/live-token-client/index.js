/** Ephemeral Gemini Live tokens, in browsers and in Node: see README.md. */

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
