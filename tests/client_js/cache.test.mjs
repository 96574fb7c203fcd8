/** The cache: to whom a token is given, when it is renewed, when nothing is asked at all. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { beforeEach, test } from "node:test";
import { LiveTokens } from "../../gateway/pages/live-token-client/index.js";
import { FakeClock, failure, settled } from "./fake_clock.mjs";
import { FakeGateway, refusal } from "./fake_gateway.mjs";

const MINUTE = 60_000;
let clock, gateway, tokens;

beforeEach(() => {
  clock = new FakeClock();
  gateway = new FakeGateway(clock);
  const { baseUrl, credential, fetch } = gateway;
  tokens = new LiveTokens({ baseUrl, credential, fetch, clock });
});

test("a token is given to one caller only", async () => {
  const given = [await tokens.get(), await tokens.get()];
  given.push(...(await Promise.all([tokens.get(), tokens.get(), tokens.get()])));
  assert.equal(new Set(given.map(({ value }) => value)).size, 5);
});

test("what was prefetched is given without a request, however its constraints are written", async () => {
  await tokens.prefetch({ duration: 15, responseModality: "TEXT", model: undefined });
  const token = await tokens.get({ responseModality: "text", duration: 15 });
  assert.equal(token.value, gateway.issued[0].token);
  assert.equal(gateway.requests.length, 1);
});

test("a token is for its own constraints", async () => {
  await tokens.prefetch({ duration: 15 });
  const token = await tokens.get({ duration: 20 });
  assert.equal(token.value, gateway.issued[1].token);
  assert.deepEqual(
    gateway.issued.map(({ fields }) => fields.duration),
    [15, 20],
  );
});

test("what waits already is not prefetched again", async () => {
  await tokens.prefetch();
  await tokens.prefetch();
  assert.equal(gateway.requests.length, 1);
});

test("prefetching twice, and getting meanwhile, is one request", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  const [token] = await Promise.all([tokens.get(), tokens.prefetch(), tokens.prefetch()]);
  assert.equal(token.value, gateway.issued[0].token);
  assert.equal(gateway.requests.length, 1);
});

test("of ten callers at once one has the token, and one request refuses the others", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => tokens.get()));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  assert.ok(results.slice(1).every(({ reason }) => reason.code === "RATE_LIMIT_EXCEEDED"));
  assert.equal(gateway.requests.length, 2);
});

test("there is one request for the same constraints at a time", async () => {
  gateway.hangs = true;
  const getting = Promise.all([tokens.get(), tokens.get()]);
  await settled();
  assert.equal(gateway.requests.length, 1);
  gateway.answerNow();
  const [first, second] = await getting;
  assert.notEqual(first.value, second.value);
});

test("while a refusal's wait lasts it is repeated without a request, with what is left", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.get();
  const refused = await failure(tokens.get());
  assert.equal(refused.retryAfter, 300);
  await clock.advance(100_500);
  const again = await failure(tokens.get({ duration: 15 }));
  assert.equal(gateway.requests.length, 2);
  assert.equal(again.retryAfter, 200);
  const told = ({ name, message, status, code, limit, ...more }) => {
    const { requestId, traceId, decisionId, details } = more;
    return { name, message, status, code, limit, requestId, traceId, decisionId, details };
  };
  assert.deepEqual(told(again), told(refused));
  assert.equal((await failure(tokens.prefetch())).retryAfter, 200);
  await clock.advance(199_499);
  assert.equal((await failure(tokens.get())).retryAfter, 1);
  assert.equal(gateway.requests.length, 2);
  await clock.advance(1);
  assert.equal((await tokens.get()).value, gateway.issued[1].token);
});

test("requestToken always asks", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.requestToken();
  await failure(tokens.requestToken());
  await failure(tokens.requestToken());
  assert.equal(gateway.requests.length, 3);
  await failure(tokens.get()); // and what it was told holds for the cache
  assert.equal(gateway.requests.length, 3);
});

test("a refusal that no wait helps against is asked for anew", async () => {
  await assert.rejects(tokens.get({ model: "none-such" }), { code: "MODEL_NOT_ALLOWED" });
  await assert.rejects(tokens.get({ model: "none-such" }), { code: "MODEL_NOT_ALLOWED" });
  assert.equal(gateway.requests.length, 2);
});

test("the wait of one user is not another's", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.get({ onBehalfOf: "ann" });
  await failure(tokens.get({ onBehalfOf: "ann" }));
  await failure(tokens.get({ onBehalfOf: "ann" }));
  assert.equal(gateway.requests.length, 2);
  assert.ok((await tokens.get({ onBehalfOf: "bob" })).value);
});

test("a conflict is of one request, and the next one has another key", async () => {
  const code = "IDEMPOTENCY_KEY_IN_USE";
  gateway.instead = [refusal(409, code, "The first is at work.", { retryAfter: 60 })];
  assert.equal((await failure(tokens.get())).code, code);
  assert.ok((await tokens.get()).value);
});

test("who has aborted before leaves what waits", async () => {
  await tokens.prefetch();
  const error = await failure(tokens.get({}, { signal: AbortSignal.abort() }));
  assert.equal(error.name, "AbortError");
  assert.equal((await tokens.get()).value, gateway.issued[0].token);
});

test("a caller that aborts goes at once, and the next one has its token", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  gateway.hangs = true;
  const controller = new AbortController();
  const getting = failure(tokens.get({}, { signal: controller.signal }));
  await settled();
  controller.abort();
  assert.equal((await getting).name, "AbortError");
  const next = tokens.get();
  gateway.answerNow();
  assert.equal((await next).value, gateway.issued[0].token);
  assert.equal(gateway.requests.length, 1);
});

test("a request that everybody left, and that fails, disturbs nobody", async () => {
  gateway.hangs = true;
  const controller = new AbortController();
  const getting = failure(tokens.get({}, { signal: controller.signal }));
  await settled();
  controller.abort();
  await getting;
  gateway.instead = [refusal(500, "INTERNAL", "A defect.")];
  gateway.answerNow();
  await settled(); // an unhandled rejection would end the test
  assert.ok((await tokens.get()).value);
});

test("a token that was released is given again, one that was used is not", async () => {
  const token = await tokens.get({ duration: 15 });
  token.release();
  assert.equal(await tokens.get({ duration: 15 }), token);
  token.markUsed();
  token.release();
  assert.equal(token.opensForMs(), 0);
  assert.notEqual(await tokens.get({ duration: 15 }), token);
});

test("of two that wait, the one that ends first goes first", async () => {
  const first = await tokens.get();
  await clock.advance(30_000);
  const second = await tokens.get();
  second.release();
  first.release();
  assert.equal(await tokens.get(), first);
  assert.equal(await tokens.get(), second);
});

test("a token that was used after it was released is given to nobody", async () => {
  const token = await tokens.get();
  token.release();
  token.markUsed();
  assert.notEqual(await tokens.get(), token);
});

test("a token is renewed before its time to open a session is over", async () => {
  await tokens.prefetch();
  await clock.advance(105_000);
  const token = await tokens.get();
  assert.equal(token.value, gateway.issued[0].token); // exactly the margin is left
  token.release();
  await clock.advance(1);
  assert.equal((await tokens.get()).value, gateway.issued[1].token);
});

test("one whose time is nearly over is better than a refusal", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.prefetch();
  await clock.advance(110_000);
  await tokens.prefetch();
  assert.equal((await tokens.get()).value, gateway.issued[0].token);
  assert.equal(gateway.issued.length, 1);
});

test("one that opens nothing any more is given to nobody", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.prefetch();
  await clock.advance(2 * MINUTE);
  const error = await failure(tokens.get());
  assert.equal(error.retryAfter, 180);
});

test("one whose time ends while it is renewed is given to nobody", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.prefetch();
  await clock.advance(115_000);
  gateway.hangs = true;
  const getting = failure(tokens.get());
  await clock.advance(6_000);
  gateway.answerNow();
  assert.equal((await getting).code, "RATE_LIMIT_EXCEEDED");
});

for (const minutes of [-60, 60]) {
  test(`the time left is right where the server's clock is ${minutes} minutes ahead`, async () => {
    gateway.skewMs = minutes * MINUTE;
    await tokens.prefetch();
    await clock.advance(60_000);
    const token = await tokens.get();
    assert.equal(token.value, gateway.issued[0].token);
    assert.equal(token.opensForMs(), 60_000);
  });
}

test("a wrong clock costs no quota: what seems over is given once, for one request", async () => {
  gateway.skewMs = -60 * MINUTE;
  gateway.showsDate = false;
  const token = await tokens.get();
  assert.equal(token.opensForMs(), 0);
  assert.equal(gateway.requests.length, 1);
  await tokens.prefetch({ duration: 15 }, { renew: true });
  await clock.advance(60 * MINUTE);
  assert.equal(gateway.requests.length, 3);
});

test("with renew, one waits until it is taken", async () => {
  await tokens.prefetch({}, { renew: true });
  await clock.advance(10 * MINUTE);
  const issued = gateway.issued.length; // one in each 105 s
  assert.equal(issued, 6);
  const token = await tokens.get();
  assert.equal(token.value, gateway.issued[5].token);
  assert.equal(gateway.issued.length, issued);
  await clock.advance(10 * MINUTE);
  assert.equal(gateway.issued.length, issued);
  assert.equal(clock.waiting, 0);
});

test("a renewal that is refused is tried when its wait is over", async () => {
  gateway.cooldownMs = 5 * MINUTE;
  await tokens.prefetch({}, { renew: true });
  await clock.advance(5 * MINUTE - 1);
  await failure(tokens.get({ duration: 15 }));
  assert.equal(gateway.issued.length, 1);
  assert.equal(gateway.requests.length, 2);
  await clock.advance(1);
  await settled();
  assert.equal((await tokens.get()).value, gateway.issued[1].token);
  assert.equal(gateway.requests.length, 3);
});

test("a renewal that no wait helps ends, and the next caller hears why", async () => {
  await tokens.prefetch({}, { renew: true });
  gateway.credential = "another-from-now-on";
  await clock.advance(60 * MINUTE);
  assert.equal(gateway.requests.length, 2);
  assert.equal(clock.waiting, 0);
  assert.equal((await failure(tokens.get())).code, "UNAUTHENTICATED");
});

test("renewing ends with its signal", async () => {
  const controller = new AbortController();
  await tokens.prefetch({}, { renew: true, signal: controller.signal });
  controller.abort();
  await clock.advance(60 * MINUTE);
  assert.equal(gateway.requests.length, 1);
  assert.equal(clock.waiting, 0);
});

test("after clear nothing is left of the user who was", async () => {
  await tokens.prefetch({}, { renew: true });
  const token = await tokens.get({ duration: 15 });
  gateway.hangs = true;
  const getting = failure(tokens.get({ duration: 20 }));
  await settled();
  tokens.clear();
  assert.equal((await getting).code, "CLEARED");
  gateway.answerNow();
  token.release();
  assert.equal(clock.waiting, 0);
  const next = [await tokens.get(), await tokens.get({ duration: 15 })];
  assert.deepEqual(
    next.map(({ value }) => value),
    gateway.issued.slice(-2).map((issued) => issued.token),
  );
});

test("after clear the next user is not told of the other's end or wait", async () => {
  gateway.hangs = true;
  const getting = failure(tokens.get());
  await settled();
  tokens.clear();
  gateway.hangs = false;
  assert.ok((await tokens.get()).value);
  assert.equal((await getting).code, "CLEARED");
  gateway.cooldownMs = 5 * MINUTE;
  await failure(tokens.get());
  tokens.clear();
  gateway.cooldownMs = 0;
  assert.ok((await tokens.get()).value);
});

test("who waits for a renewal while all is cleared does not get the old one", async () => {
  await tokens.prefetch();
  await clock.advance(115_000);
  gateway.hangs = true;
  const getting = failure(tokens.get());
  await settled();
  tokens.clear();
  assert.equal((await getting).code, "CLEARED");
});

test("Node ends while a renewal is to come", { timeout: 20_000 }, async () => {
  const { href } = new URL("../../gateway/pages/live-token-client/index.js", import.meta.url);
  const program = `
    import { LiveTokens } from "${href}";
    const soon = new Date(Date.now() + 120_000).toISOString();
    const answer = { success: true, token: "auth_tokens/1", expiresAt: soon,
      sessionStartWindow: soon, constraints: { model: "m" }, usage: {} };
    const tokens = new LiveTokens({ baseUrl: "https://gateway.test", credential: "c",
      fetch: async () => Response.json(answer) });
    await tokens.prefetch({}, { renew: true });
    console.log("waiting");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.deepEqual({ said, code }, { said: "waiting\n", code: 0 });
});
