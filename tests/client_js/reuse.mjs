/**
 * Opens two sessions with one token, which it has twice, and says what came of the second.
 *
 * The environment gives BEARER, GATEWAY and LIVE_URL.
 */

import { GoogleGenAI } from "@google/genai";
import { LiveTokens, connect } from "live-token-client";

const { BEARER, GATEWAY, LIVE_URL } = process.env;
console.warn = () => {}; // the SDK warns that tokens are experimental

const tokens = new LiveTokens({ baseUrl: GATEWAY, credential: BEARER });
const callbacks = { onmessage() {} };
const one = { idempotencyKey: "one" };
const first = await tokens.requestToken({}, one);
const second = await tokens.requestToken({}, one);
const session = await connect(GoogleGenAI, first, { callbacks }, { baseUrl: LIVE_URL });
session.close();
const again = connect(GoogleGenAI, second, { callbacks }, { baseUrl: LIVE_URL });
const { name, code, reason } = await again.catch((error) => error);
console.log(JSON.stringify({ same: first.value === second.value, name, code, reason }));
