/** How the gateway is asked: with what, how often, for how long. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { unlessAborted } from "../../gateway/pages/live-token-client/clock.js";
import { LiveToken, LiveTokenError, LiveTokens } from "../../gateway/pages/live-token-client/index.js";
import { FakeClock, failure, isPending } from "./fake_clock.mjs";
import { FakeGateway, busy, refusal } from "./fake_gateway.mjs";

let clock, gateway, tokens;

function client(options = {}) {
  const { baseUrl, credential, fetch } = gateway;
  return new LiveTokens({ baseUrl, credential, fetch, clock, ...options });
}

beforeEach(() => {
  clock = new FakeClock();
  gateway = new FakeGateway(clock);
  tokens = client();
});

test("a token is asked for once, with the credential in a header and nowhere else", async () => {
  const token = await tokens.requestToken({ duration: 15 });
  assert.ok(token instanceof LiveToken);
  assert.equal(token.value, gateway.issued[0].token);
  assert.equal(token.model, "gemini-3.8-live");
  assert.equal(token.expiresAt.toISOString(), "2026-01-01T00:30:00.000Z");
  assert.equal(token.opensForMs(), 120_000);
  assert.equal(token.decisionId, "decision-1");
  assert.equal(token.requestId, "request-1");
  assert.equal(token.traceId, "trace-1");
  const [request, ...others] = gateway.requests;
  assert.deepEqual(others, []);
  assert.equal(request.url, "https://gateway.test/api/v1/live-token");
  assert.equal(request.body, '{"duration":15}');
  const { "idempotency-key": key, ...headers } = request.headers;
  assert.match(key, /^[0-9a-f]{32}$/);
  assert.deepEqual(headers, {
    accept: "application/json",
    authorization: `Bearer ${gateway.credential}`,
    "content-type": "application/json",
  });
  assert.equal(request.credentials, "omit");
  assert.equal(request.cache, undefined); // or there is a preflight for each
  assert.equal(request.redirect, "error");
});

test("an API key has a header of its own", async () => {
  await client({ credential: { apiKey: gateway.apiKey } }).requestToken();
  const { headers } = gateway.requests[0];
  assert.equal(headers["x-api-key"], gateway.apiKey);
  assert.equal(headers.authorization, undefined);
});

test("a credential that is a function is asked for before each request", async () => {
  const credentials = ["an-old-one", gateway.credential];
  tokens = client({ credential: async () => credentials.shift() });
  await assert.rejects(tokens.usage(), { code: "UNAUTHENTICATED", status: 401 });
  assert.deepEqual(await tokens.usage(), { activeTokens: 0 });
});

test("what the credential's function throws is thrown, and nothing is asked", async () => {
  const mine = new Error("logged out");
  tokens = client({ credential: () => Promise.reject(mine) });
  await assert.rejects(tokens.requestToken(), mine);
  assert.equal(gateway.requests.length, 0);
});

test("more headers can be sent", async () => {
  const asked = [];
  const headers = (request) => asked.push(request) && { traceparent: "00-1-2-01" };
  await client({ headers }).config();
  assert.equal(gateway.requests[0].headers.traceparent, "00-1-2-01");
  assert.deepEqual(asked, [{ method: "GET", url: "https://gateway.test/api/v1/live-token/config" }]);
});

test("a header of the caller's own goes before the client's", async () => {
  const headers = () => ({ authorization: "DPoP the-users-jwt", DPoP: "a-proof" });
  await client({ headers }).requestToken().catch(() => {});
  const sent = gateway.requests[0].headers;
  assert.deepEqual([sent.authorization, sent.dpop], ["DPoP the-users-jwt", "a-proof"]);
});

test("what is no credential is not sent as if it were", async () => {
  for (const credential of [undefined, null, {}, { apiKey: undefined }, () => undefined]) {
    const error = await failure(client({ credential }).requestToken());
    assert.equal(error.name, "TypeError");
  }
  assert.equal(gateway.requests.length, 0);
});

test("after a lost answer the repeat has the same key, and gets the same token", async () => {
  gateway.losesAnswers = 2;
  const asking = tokens.requestToken();
  await clock.advance(5_000);
  assert.equal((await asking).value, gateway.issued[0].token);
  assert.equal(gateway.issued.length, 1);
  assert.equal(new Set(gateway.posts.map(({ headers }) => headers["idempotency-key"])).size, 1);
  assert.equal(gateway.posts.length, 3);
});

test("two requests have two keys, unless the caller has one", async () => {
  const first = await tokens.requestToken();
  const second = await tokens.requestToken();
  assert.notEqual(first.value, second.value);
  const third = await tokens.requestToken({}, { idempotencyKey: "order-7" });
  const again = await tokens.requestToken({}, { idempotencyKey: "order-7" });
  assert.equal(third.value, again.value);
});

test("a request that was slow to arrive is repeated", async () => {
  gateway.instead = [refusal(408, "REQUEST_TIMEOUT", "Too slow.")];
  const asking = tokens.requestToken();
  await clock.advance(250);
  assert.ok((await asking).value);
});

test("503 is repeated, and never before Retry-After is over", async () => {
  gateway.instead = [busy(7)];
  const asking = tokens.requestToken();
  await clock.advance(6_999);
  assert.equal(gateway.posts.length, 1);
  await clock.advance(1);
  assert.equal((await asking).value, gateway.issued[0].token);
});

test("a key that is still in work is waited for", async () => {
  const code = "IDEMPOTENCY_KEY_IN_USE";
  gateway.instead = [refusal(409, code, "The first is at work.", { retryAfter: 2 })];
  const asking = tokens.requestToken();
  await clock.advance(2_000);
  assert.ok((await asking).value);
  assert.equal(gateway.posts.length, 2);
});

for (const [status, code] of [
  [400, "INVALID_ARGUMENT"],
  [401, "UNAUTHENTICATED"],
  [403, "ADDRESS_BLOCKED"],
  [422, "IDEMPOTENCY_KEY_REUSED"],
  [429, "RATE_LIMIT_EXCEEDED"],
  [500, "INTERNAL"],
  [502, "UPSTREAM_MISCONFIGURED"],
]) {
  test(`${status} is final`, async () => {
    gateway.instead = [refusal(status, code, "No.")];
    await assert.rejects(tokens.requestToken(), { name: "LiveTokenError", status, code });
    await clock.advance(60_000);
    assert.equal(gateway.requests.length, 1);
  });
}

test("a refusal has all that the gateway said of it", async () => {
  gateway.cooldownMs = 300_000;
  await tokens.requestToken();
  const error = await failure(tokens.requestToken());
  assert.ok(error instanceof LiveTokenError);
  assert.equal(error.message, "Rate limit exceeded: cooldown, try again in 300 seconds");
  assert.equal(error.retryAfter, 300);
  assert.equal(error.limit, "cooldown");
  assert.equal(error.requestId, "request-1");
  assert.equal(error.traceId, "trace-2");
  assert.equal(error.decisionId, "decision-2");
  assert.equal(error.details.length, 1);
});

test("without a network it is asked four times, then told so", async () => {
  gateway.offline = true;
  const asking = failure(tokens.requestToken());
  await clock.advance(1_750); // 250 + 500 + 1000, at most
  const error = await asking;
  assert.equal(error.code, "NETWORK");
  assert.equal(error.status, 0);
  assert.equal(error.cause.message, "fetch failed");
  assert.equal(gateway.requests.length, 4);
});

test("an answer that does not come is asked for again, with the same key", async () => {
  gateway.hangs = true;
  const asking = tokens.requestToken();
  await clock.advance(11_999);
  assert.equal(gateway.requests.length, 1);
  gateway.hangs = false;
  await clock.advance(300);
  assert.ok((await asking).value);
  const [first, second] = gateway.requests;
  assert.ok(first.signal.aborted);
  assert.equal(first.headers["idempotency-key"], second.headers["idempotency-key"]);
});

test("all attempts together have a time, and TIMEOUT is what is then said", async () => {
  gateway.hangs = true;
  const asking = failure(client({ timeoutMs: 20_000 }).requestToken());
  await clock.advance(19_999);
  assert.ok(await isPending(asking));
  await clock.advance(1);
  assert.equal((await asking).code, "TIMEOUT");
  assert.ok(gateway.requests.every(({ signal }) => signal.aborted));
});

test("who would have to wait too long is told at once", async () => {
  gateway.instead = [busy(60)];
  const error = await failure(tokens.requestToken());
  assert.equal(error.code, "UPSTREAM_UNAVAILABLE");
  assert.equal(error.retryAfter, 60);
});

test("a credential that does not come is not waited for for ever", async () => {
  const never = new Promise(() => {});
  const asking = failure(client({ credential: () => never, attempts: 1 }).requestToken());
  await clock.advance(12_000);
  assert.equal((await asking).code, "TIMEOUT");
});

test("a caller that aborts is let go with its own reason, and the request ends", async () => {
  gateway.hangs = true;
  const controller = new AbortController();
  const asking = failure(tokens.requestToken({}, { signal: controller.signal }));
  await clock.advance(10);
  controller.abort(new Error("changed my mind"));
  assert.equal((await asking).message, "changed my mind");
  assert.ok(gateway.requests[0].signal.aborted);
  assert.equal(clock.waiting, 0);
});

test("a caller that aborts while it waits for the repeat is let go too", async () => {
  gateway.instead = [busy(7)];
  const controller = new AbortController();
  const asking = failure(tokens.requestToken({}, { signal: controller.signal }));
  await clock.advance(10);
  controller.abort();
  assert.equal((await asking).name, "AbortError");
  assert.equal(clock.waiting, 0);
  await clock.advance(60_000);
  assert.equal(gateway.requests.length, 1);
});

test("who has aborted before asks nothing", async () => {
  const never = new Promise(() => {});
  assert.equal((await failure(unlessAborted(never, AbortSignal.abort()))).name, "AbortError");
  const error = await failure(tokens.requestToken({}, { signal: AbortSignal.abort() }));
  assert.equal(error.name, "AbortError");
  assert.equal(gateway.requests.length, 0);
});

test("an answer that is not the gateway's is UNREADABLE_ANSWER", async () => {
  const html = { status: 403, body: "<h1>Forbidden by the proxy</h1>" };
  const login = { status: 200, body: "<h1>Please log in</h1>" };
  const other = { status: 200, body: { success: true, token: "" } };
  const list = { status: 404, body: [] };
  gateway.instead = [html, login, other, list];
  for (const status of [403, 200, 200, 404]) {
    await assert.rejects(tokens.requestToken(), { code: "UNREADABLE_ANSWER", status });
  }
});

test("a proxy's own 503 is repeated, with its Retry-After", async () => {
  gateway.instead = [{ status: 503, body: "busy", headers: { "Retry-After": "3" } }];
  const asking = tokens.requestToken();
  await clock.advance(2_999);
  assert.equal(gateway.posts.length, 1);
  await clock.advance(1);
  assert.ok((await asking).value);
});

test("usage and config can be asked for, of another user too", async () => {
  assert.deepEqual(await tokens.usage(), { activeTokens: 0 });
  assert.deepEqual(await tokens.config(), { defaultModel: "gemini-3.8-live" });
  await tokens.usage({ onBehalfOf: "a&b" });
  assert.ok(gateway.requests[2].url.endsWith("/usage?onBehalfOf=a%26b"));
});

test("the gateway may be under a path", async () => {
  await client({ baseUrl: "https://gateway.test/live/" })
    .requestToken()
    .catch(() => {});
  assert.equal(gateway.requests[0].url, "https://gateway.test/live/api/v1/live-token");
});

test("an address that could not be meant is refused, without being repeated", () => {
  for (const baseUrl of [
    "gateway.test",
    "ftp://gateway.test",
    "https://gateway.test?key=secret",
    "https://user:secret@gateway.test",
    undefined, // there is no page here whose origin it could be
  ]) {
    assert.throws(() => client({ baseUrl }), /^TypeError: baseUrl: (?!.*secret)/);
  }
});
