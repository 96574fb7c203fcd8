/** A gateway that behaves: quota, idempotency, refusals, and a network that can fail. */

const PATH = "/api/v1/live-token";
const MINUTE_MS = 60_000;

export class FakeGateway {
  baseUrl = "https://gateway.test";
  credential = "the-users-jwt-0123456789";
  apiKey = "the-users-api-key-0123456789";
  cooldownMs = 0;
  windowMs = 2 * MINUTE_MS;
  /** By how much its clock is ahead. */
  skewMs = 0;
  /** Whether a script may read its Date header. */
  showsDate = true;
  offline = false;
  hangs = false;
  /** How many answers get lost, once the work is done. */
  losesAnswers = 0;
  /** Answers to give before any of its own: `{ status, headers, body }`. */
  instead = [];
  requests = [];
  issued = [];
  #byKey = new Map();
  #lastIssue = new Map();
  #clock;
  #hanging = [];

  constructor(clock) {
    this.#clock = clock;
  }

  get posts() {
    return this.requests.filter(({ method }) => method === "POST");
  }

  /** Answers what has been kept waiting. */
  answerNow() {
    this.hangs = false;
    for (const answer of this.#hanging.splice(0)) answer();
  }

  fetch = async (url, { method, headers, body, signal, ...rest }) => {
    signal.throwIfAborted();
    const request = { method, url, headers: Object.fromEntries(headers), body, signal, ...rest };
    this.requests.push(request);
    if (this.offline) throw new TypeError("fetch failed");
    if (this.hangs) {
      await new Promise((resolve, reject) => {
        this.#hanging.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    }
    const answer = this.instead.shift() ?? this.#answer(request);
    if (this.losesAnswers > 0) {
      this.losesAnswers -= 1;
      throw new TypeError("fetch failed");
    }
    const date = new Date(this.#clock.now() + this.skewMs).toUTCString();
    return new Response(
      typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body),
      {
        status: answer.status,
        headers: {
          "X-Request-Id": `request-${this.requests.length}`,
          "X-Trace-Id": `trace-${this.requests.length}`,
          ...(this.showsDate ? { Date: date } : {}),
          ...answer.headers,
        },
      },
    );
  };

  #answer({ method, url, headers, body }) {
    const path = url.slice(this.baseUrl.length);
    const bearer = headers.authorization === `Bearer ${this.credential}`;
    if (!bearer && headers["x-api-key"] !== this.apiKey) {
      return refusal(401, "UNAUTHENTICATED", "The credentials are not valid.");
    }
    if (method === "POST" && path === PATH) return this.#mint(headers, JSON.parse(body));
    if (path.startsWith(`${PATH}/usage`)) {
      return { status: 200, body: { success: true, data: { activeTokens: this.issued.length } } };
    }
    if (path.startsWith(`${PATH}/config`)) {
      return { status: 200, body: { success: true, data: { defaultModel: "gemini-3.8-live" } } };
    }
    return refusal(404, "NOT_FOUND", "There is nothing here.");
  }

  #mint(headers, fields) {
    const key = headers["idempotency-key"];
    if (this.#byKey.has(key)) return this.#byKey.get(key);
    if (fields.model === "none-such") {
      return refusal(400, "MODEL_NOT_ALLOWED", "model: is not allowed");
    }
    const now = this.#clock.now() + this.skewMs;
    const user = fields.onBehalfOf ?? "";
    const wait = (this.#lastIssue.get(user) ?? -Infinity) + this.cooldownMs - now;
    if (wait > 0) return cooldown(Math.ceil(wait / 1000));
    this.#lastIssue.set(user, now);
    const token = `auth_tokens/secret-of-token-${this.issued.length + 1}`;
    this.issued.push({ token, fields });
    const answer = {
      status: 200,
      body: {
        success: true,
        token,
        expiresAt: new Date(now + 30 * MINUTE_MS).toISOString(),
        sessionStartWindow: new Date(now + this.windowMs).toISOString(),
        constraints: { model: "gemini-3.8-live", maxDuration: 30, responseModality: "TEXT" },
        usage: { activeTokens: this.issued.length },
        decisionId: "decision-1",
        apiVersion: "v1beta",
      },
    };
    this.#byKey.set(key, answer);
    return answer;
  }
}

export function refusal(status, code, error, more = {}, headers = {}) {
  return { status, body: { success: false, error, code, ...more }, headers };
}

export function busy(seconds) {
  const wait = { "Retry-After": String(seconds) };
  return refusal(503, "UPSTREAM_UNAVAILABLE", "Gemini is away.", { retryAfter: seconds }, wait);
}

function cooldown(seconds) {
  const violations = [{ subject: "cooldown", description: "wait" }];
  const details = [{ "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations }];
  return refusal(
    429,
    "RATE_LIMIT_EXCEEDED",
    `Rate limit exceeded: cooldown, try again in ${seconds} seconds`,
    { retryAfter: seconds, requestId: "request-1", traceId: "trace-2", decisionId: "decision-2", details },
    { "Retry-After": String(seconds) },
  );
}
