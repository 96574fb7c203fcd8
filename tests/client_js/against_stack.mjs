/**
 * Uses the client against a running stack, and says in one JSON line what came of it.
 *
 * The environment gives BEARER, GATEWAY, LIVE_URL and NOWHERE, where nothing listens.
 */

import { GoogleGenAI } from "@google/genai";
import { LiveTokens, connect } from "live-token-client";

const { BEARER, GATEWAY, LIVE_URL, NOWHERE } = process.env;
console.warn = () => {}; // the SDK warns that tokens are experimental

let requests = 0;
const tokens = new LiveTokens({
  baseUrl: GATEWAY,
  credential: () => BEARER,
  fetch(...request) {
    requests += 1;
    return fetch(...request);
  },
});

const told = ({ name, code, reason, status, retryAfter, limit }) => {
  return { name, code, reason, status, retryAfter, limit };
};
const failure = (promise) => promise.then(() => ({ name: "none" }), told);

async function converse(token) {
  const said = [];
  let done;
  const answered = new Promise((resolve) => (done = resolve));
  const callbacks = {
    onmessage({ serverContent = {} }) {
      said.push(...(serverContent.modelTurn?.parts ?? []).map(({ text }) => text));
      if (serverContent.turnComplete) done();
    },
  };
  const session = await connect(GoogleGenAI, token, { callbacks }, { baseUrl: LIVE_URL });
  session.sendClientContent({ turns: "hello" });
  await answered;
  session.close();
  return said.join("");
}

const report = {};
const callbacks = { onmessage() {} };
const allowed = await tokens.config();
report.config = { model: allowed.defaultModel, cooldown: allowed.cooldownMinutes };

const unreached = await tokens.get({ duration: 10 });
report.unreached = await failure(connect(GoogleGenAI, unreached, { callbacks }, { baseUrl: NOWHERE }));
const token = await tokens.get({ duration: 10 });
report.sameAgain = token === unreached;
report.opensForSeconds = Math.ceil(token.opensForMs() / 1000);
report.said = await converse(token);
report.used = token.used;

report.again = await failure(connect(GoogleGenAI, token, { callbacks }, { baseUrl: LIVE_URL }));
report.cooldown = await failure(tokens.get({ duration: 10 }));
const asked = requests;
report.cooldownAgain = await failure(tokens.get({ duration: 15 }));
report.askedAgain = requests - asked;
report.issued = (await tokens.usage()).tokensLastHour;

console.log(JSON.stringify(report));
