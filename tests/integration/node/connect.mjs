// Talks to a live session with the official JavaScript SDK, and says how it went in one JSON line.
//
// The environment gives LIVE_TOKEN, LIVE_BASE_URL, LIVE_API_VERSION and LIVE_MODEL.
// The only argument is what to say.

import { GoogleGenAI } from "@google/genai";

console.warn = () => {}; // the SDK warns that tokens are experimental
const { LIVE_TOKEN, LIVE_BASE_URL, LIVE_API_VERSION = "v1beta", LIVE_MODEL = "gemini-3.8-live" } =
  process.env;

const outcome = { connected: false, text: "", transcript: "", audioBytes: 0 };
let finish;
const finished = new Promise((resolve) => {
  finish = resolve;
});

function collect(message) {
  const content = message.serverContent ?? {};
  outcome.transcript += content.outputTranscription?.text ?? "";
  for (const part of content.modelTurn?.parts ?? []) {
    outcome.text += part.text ?? "";
    outcome.audioBytes += Buffer.from(part.inlineData?.data ?? "", "base64").length;
  }
  if (content.turnComplete) finish();
}

function refused(event) {
  outcome.code = event.code;
  outcome.reason = event.reason;
  finish();
}

const client = new GoogleGenAI({
  apiKey: LIVE_TOKEN,
  httpOptions: { baseUrl: LIVE_BASE_URL, apiVersion: LIVE_API_VERSION },
});
const connecting = client.live.connect({
  model: LIVE_MODEL,
  callbacks: { onmessage: collect, onerror: () => {}, onclose: refused },
});

// connect() never settles when the server refuses, so it is raced with onclose.
const session = await Promise.race([connecting, finished]);
if (session) {
  outcome.connected = true;
  session.sendClientContent({
    turns: [{ role: "user", parts: [{ text: process.argv[2] }] }],
    turnComplete: true,
  });
  await finished;
}
console.log(JSON.stringify(outcome));
process.exit(0);
