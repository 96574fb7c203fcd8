/** Connecting: a session, or a refusal that comes, whatever the SDK's promise does. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import {
  LiveConnectError,
  LiveTokens,
  connect,
} from "../../gateway/pages/live-token-client/index.js";
import { FakeClock, failure, isPending, settled } from "./fake_clock.mjs";
import { FakeGateway } from "./fake_gateway.mjs";
import { fakeSdk } from "./fake_sdk.mjs";

const USED_UP = { code: 1011, reason: "Token has been used too many times" };
let clock, tokens, token, heard, callbacks;

beforeEach(async () => {
  clock = new FakeClock();
  const gateway = new FakeGateway(clock);
  gateway.cooldownMs = 300_000;
  const { baseUrl, credential, fetch } = gateway;
  tokens = new LiveTokens({ baseUrl, credential, fetch, clock });
  token = await tokens.get();
  heard = [];
  callbacks = Object.fromEntries(
    ["onopen", "onmessage", "onerror", "onclose"].map((name) => [
      name,
      (event) => heard.push([name, event]),
    ]),
  );
});

test("a session opens with the token as API key, on its version, with its model", async () => {
  const { GoogleGenAI, seen } = fakeSdk();
  const config = { responseModalities: ["TEXT"] };
  const options = { baseUrl: "http://127.0.0.1:8090", clock };
  const connecting = connect(GoogleGenAI, token, { config, callbacks }, options);
  assert.equal(token.used, false);
  seen.socket.emit("open");
  assert.equal(token.used, true);
  seen.socket.emit("message", { setupComplete: {} });
  const session = await connecting;
  assert.equal(typeof session.close, "function");
  assert.deepEqual(seen.options, {
    apiKey: token.value,
    httpOptions: { apiVersion: "v1beta", baseUrl: "http://127.0.0.1:8090" },
  });
  assert.equal(seen.params.model, "gemini-3.8-live");
  assert.equal(seen.params.config, config);
  seen.socket.emit("message", { text: "hello" });
  seen.socket.emit("failed", { message: "later" });
  seen.socket.emit("close", { code: 1000, reason: "" });
  assert.deepEqual(
    heard.map(([name]) => name),
    ["onopen", "onmessage", "onerror", "onclose"],
  );
  assert.equal(clock.waiting, 0);
  assert.equal(seen.closed, false);
});

for (const rejects of [false, true]) {
  const sdk = rejects ? "an SDK that rejects" : "an SDK whose promise never settles";

  test(`a refusal after the start comes with its code and reason, of ${sdk}`, async () => {
    const { GoogleGenAI, seen } = fakeSdk({ rejects });
    const connecting = failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
    seen.socket.emit("open");
    seen.socket.emit("close", USED_UP);
    const error = await connecting;
    assert.ok(error instanceof LiveConnectError);
    assert.equal(error.code, 1011);
    assert.equal(error.reason, USED_UP.reason);
    assert.equal(error.message, `no Live session (1011): ${USED_UP.reason}`);
    assert.equal(token.used, true);
    assert.equal(clock.waiting, 0);
    assert.deepEqual(
      heard.map(([name]) => name),
      ["onopen"],
    );
  });

  test(`a socket that never opened leaves the token to the next caller, of ${sdk}`, async () => {
    const { GoogleGenAI, seen } = fakeSdk({ rejects });
    const connecting = failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
    seen.socket.emit("failed", { message: "connect ECONNREFUSED" });
    seen.socket.emit("close", { code: 1006, reason: "" });
    const error = await connecting;
    assert.equal(error.code, 1006);
    assert.equal(error.reason, "connect ECONNREFUSED");
    assert.equal(token.used, false);
    assert.equal(await tokens.get(), token);
  });

  test(`an error that no close follows is FAILED, of ${sdk}`, async () => {
    const { GoogleGenAI, seen } = fakeSdk({ rejects });
    const connecting = failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
    seen.socket.emit("failed", { message: "no route" });
    assert.ok(await isPending(connecting));
    await clock.advance(50);
    const error = await connecting;
    assert.equal(error.code, "FAILED");
    assert.equal(error.reason, "no route");
  });
}

test("what the SDK throws itself is FAILED, at once or later", async () => {
  const bad = () => new Error(`bad config, ${token.value}`);
  const now = () => {
    throw bad();
  };
  for (const fail of [() => Promise.reject(bad()), now]) {
    class GoogleGenAI {
      live = { connect: fail };
    }
    const connecting = failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
    await clock.advance(50);
    const error = await connecting;
    assert.equal(error.code, "FAILED");
    assert.equal(error.reason, "bad config, [token]");
    assert.equal(await tokens.get(), token);
  }
});

test("a server that says nothing is a TIMEOUT, and a session that comes later is closed", async () => {
  const { GoogleGenAI, seen } = fakeSdk();
  const connecting = failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
  await clock.advance(14_999);
  assert.ok(await isPending(connecting));
  await clock.advance(1);
  const error = await connecting;
  assert.equal(error.code, "TIMEOUT");
  seen.socket.emit("open");
  seen.socket.emit("message", { setupComplete: {} });
  await settled();
  assert.equal(seen.closed, true);
  assert.equal(token.used, true);
  assert.deepEqual(heard, []);
});

test("who aborts has its own reason, and a session that comes later is closed", async () => {
  const { GoogleGenAI, seen } = fakeSdk();
  const controller = new AbortController();
  const options = { clock, signal: controller.signal };
  const connecting = failure(connect(GoogleGenAI, token, { callbacks }, options));
  controller.abort(new Error("changed my mind"));
  assert.equal((await connecting).message, "changed my mind");
  assert.equal(await tokens.get(), token);
  seen.socket.emit("message", { setupComplete: {} });
  await settled();
  assert.equal(seen.closed, true);
  assert.equal(clock.waiting, 0);
});

test("who has aborted before opens nothing", async () => {
  const { GoogleGenAI, seen } = fakeSdk();
  const options = { clock, signal: AbortSignal.abort() };
  const error = await failure(connect(GoogleGenAI, token, { callbacks }, options));
  assert.equal(error.name, "AbortError");
  assert.equal(seen.options, undefined);
});

test("a token that was used is not tried again", async () => {
  token.markUsed();
  const { GoogleGenAI, seen } = fakeSdk();
  const error = await failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
  assert.equal(error.code, "TOKEN_USED");
  assert.equal(seen.socket, undefined);
});

test("the server's words are told without the token, should it be in them", async () => {
  const { GoogleGenAI, seen } = fakeSdk();
  const connecting = failure(connect(GoogleGenAI, token, { callbacks }, { clock }));
  seen.socket.emit("close", { code: 1008, reason: `unknown ${token.value}` });
  assert.equal((await connecting).reason, "unknown [token]");
});
