/** No token and no credential gets where somebody could see or find it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { LiveTokens } from "../../gateway/pages/live-token-client/index.js";
import { FakeClock, failure } from "./fake_clock.mjs";
import { FakeGateway, refusal } from "./fake_gateway.mjs";

const shown = (what) => [
  inspect(what, { depth: null, showHidden: true }),
  JSON.stringify(what) ?? "",
  `${what}`,
  inspect(structuredClone(what, {}), { depth: null, showHidden: true }),
  Object.values(Object.getOwnPropertyDescriptors(what)).map(({ value }) => String(value)),
];

function client(options = {}) {
  const gateway = new FakeGateway(new FakeClock());
  const { baseUrl, credential, fetch } = gateway;
  const tokens = new LiveTokens({ baseUrl, credential, fetch, attempts: 1, ...options });
  return { gateway, tokens };
}

test("a token does not show its value", async () => {
  const { tokens } = client();
  const token = await tokens.get();
  assert.match(inspect(token), /^LiveToken\(gemini-3.8-live, opens until 2026-01-01T00:02:00/);
  assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(token))), [
    "constraints",
    "expiresAt",
    "sessionStartWindow",
    "apiVersion",
    "used",
  ]);
  for (const text of shown(token)) assert.doesNotMatch(String(text), /secret-of-token/);
});

test("neither do those who keep tokens and credentials", async () => {
  const { tokens, gateway } = client();
  await tokens.prefetch();
  const texts = [inspect(tokens, { depth: null, showHidden: true }), JSON.stringify(tokens)];
  for (const text of texts) {
    assert.doesNotMatch(text, /secret-of-token/);
    assert.ok(!text.includes(gateway.credential));
  }
});

test("no error has a token or a credential in it, in its causes neither", async () => {
  const errors = [];
  const { tokens, gateway } = client();
  gateway.instead = [refusal(500, "INTERNAL", "A defect."), { status: 200, body: "<h1>" }];
  errors.push(await failure(tokens.requestToken()), await failure(tokens.requestToken()));
  gateway.offline = true;
  errors.push(await failure(tokens.requestToken()));
  for (const credential of ["a-secret\nthat breaks", "a-secret-ü-…", { apiKey: "a-secret\0" }]) {
    errors.push(await failure(client({ credential }).tokens.requestToken()));
  }
  assert.equal(errors.length, 6);
  for (const error of errors) {
    const text = inspect(error, { depth: null, showHidden: true }) + JSON.stringify(error);
    assert.doesNotMatch(text, /secret|the-users-jwt/);
  }
});

test("nothing is written to the console, and no secret to a URL", async (t) => {
  const written = [];
  for (const name of ["log", "info", "warn", "error", "debug"]) {
    t.mock.method(console, name, (...what) => written.push(what));
  }
  const { tokens, gateway } = client();
  await tokens.get();
  await tokens.usage();
  gateway.offline = true;
  await failure(tokens.get());
  assert.deepEqual(written, []);
  for (const { url } of gateway.requests) assert.doesNotMatch(url, /secret|the-users-jwt/);
});
