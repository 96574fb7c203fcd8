// Asks a model one question, with a token of the gateway's and Google's own SDK:
//
//   npm install --no-package-lock
//   BEARER=… LIVE_URL=http://127.0.0.1:8090 node talk.mjs "How are you?"
//
// The environment gives BEARER, the user's JWT (`make run` prints one), GATEWAY (default
// http://127.0.0.1:8080) and LIVE_URL, where the Live API is if it is not Google's: the
// one here is the emulator's.

import { GoogleGenAI } from "@google/genai";
import { LiveConnectError, LiveTokenError, LiveTokens, connect } from "live-token-client";

const { BEARER, GATEWAY = "http://127.0.0.1:8080", LIVE_URL } = process.env;
const [question = "How are you?"] = process.argv.slice(2);
console.warn = () => {}; // the SDK warns that tokens are experimental

async function ask(tokens) {
  const token = await tokens.get({ duration: 10 });
  let done;
  const answered = new Promise((resolve) => (done = resolve));
  const session = await connect(
    GoogleGenAI,
    token,
    {
      callbacks: {
        onmessage({ serverContent = {} }) {
          const { modelTurn, outputTranscription, turnComplete } = serverContent;
          for (const { text } of modelTurn?.parts ?? []) process.stdout.write(text ?? "");
          process.stdout.write(outputTranscription?.text ?? "");
          if (turnComplete) done();
        },
        onclose: () => done(),
      },
    },
    { baseUrl: LIVE_URL },
  );
  session.sendClientContent({ turns: question });
  await answered;
  session.close();
  console.log();
}

try {
  await ask(new LiveTokens({ baseUrl: GATEWAY, credential: BEARER }));
} catch (error) {
  if (!(error instanceof LiveTokenError || error instanceof LiveConnectError)) throw error;
  const wait = error.retryAfter ? `; try again in ${error.retryAfter} s` : "";
  console.error(`${error.message} (${error.code})${wait}`);
  process.exitCode = 1;
}
