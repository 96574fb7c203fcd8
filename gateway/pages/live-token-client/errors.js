/** What goes wrong, and what to do about it. */

/**
 * No answer as hoped for. `code` is the gateway's, or one of the client's own:
 * `NETWORK` (no answer; in a browser also an origin that is not allowed),
 * `TIMEOUT` (no answer in time), `UNREADABLE_ANSWER` (not the gateway's).
 */
export class LiveTokenError extends Error {
  /**
   * The HTTP status; 0 if there was no answer.
   *
   * @readonly
   */
  status;
  /**
   * Stable, in contrast to the message.
   *
   * @readonly
   */
  code;
  /**
   * Seconds to wait before asking again; undefined where waiting does not help.
   *
   * @readonly
   */
  retryAfter;
  /**
   * Finds the request in the gateway's log.
   *
   * @readonly
   */
  requestId;
  /**
   * Finds the request in traces, in every process's log and in the ledger: 32 hex digits.
   *
   * @readonly
   */
  traceId;
  /**
   * Finds the decision, for operators.
   *
   * @readonly
   */
  decisionId;
  /**
   * google.rpc messages.
   *
   * @readonly
   */
  details;
  /**
   * The limit that was met, such as `cooldown`.
   *
   * @readonly
   */
  limit;

  /**
   * @param {string} message
   * @param {{
   *   status?: number, code: string, retryAfter?: number | undefined,
   *   requestId?: string | undefined, traceId?: string | undefined,
   *   decisionId?: string | undefined,
   *   details?: Record<string, unknown>[], cause?: unknown,
   * }} what
   */
  constructor(message, what) {
    super(message, "cause" in what ? { cause: what.cause } : undefined);
    this.name = "LiveTokenError";
    this.status = what.status ?? 0;
    this.code = what.code;
    this.retryAfter = what.retryAfter;
    this.requestId = what.requestId;
    this.traceId = what.traceId;
    this.decisionId = what.decisionId;
    this.details = what.details ?? [];
    this.limit = limitOf(this.details);
  }

  /**
   * The same refusal, with what is left of its wait.
   *
   * @param {number} retryAfter seconds
   */
  again(retryAfter) {
    const { message, status, code, requestId, traceId, decisionId, details } = this;
    return new LiveTokenError(message, {
      status,
      code,
      retryAfter,
      requestId,
      traceId,
      decisionId,
      details,
    });
  }
}

/**
 * No Live session. `code` is the one the socket was closed with (1011: the token was
 * used or has expired), or `TIMEOUT`, `TOKEN_USED` (by this program: nothing was sent)
 * or `FAILED` (the SDK said no more than `reason`).
 */
export class LiveConnectError extends Error {
  /** @readonly */
  code;
  /**
   * As the server gave it.
   *
   * @readonly
   */
  reason;

  /**
   * @param {number | "TIMEOUT" | "TOKEN_USED" | "FAILED"} code
   * @param {string} reason
   */
  constructor(code, reason) {
    super(`no Live session (${code})${reason && `: ${reason}`}`);
    this.name = "LiveConnectError";
    this.code = code;
    this.reason = reason;
  }
}

/**
 * Reads a refusal's body.
 *
 * @param {number} status
 * @param {unknown} body
 * @param {Headers} headers
 */
export function refusalOf(status, body, headers) {
  const said = /** @type {Record<string, unknown>} */ (isObject(body) ? body : {});
  const text = (/** @type {unknown} */ value) => (typeof value === "string" ? value : undefined);
  const ours = text(said.code) !== undefined && text(said.error) !== undefined;
  return new LiveTokenError(text(said.error) ?? `HTTP ${status}, and not from the gateway`, {
    status,
    code: ours ? String(said.code) : "UNREADABLE_ANSWER",
    retryAfter: seconds(said.retryAfter) ?? seconds(headers.get("Retry-After")),
    requestId: text(said.requestId) ?? headers.get("X-Request-Id") ?? undefined,
    traceId: text(said.traceId) ?? headers.get("X-Trace-Id") ?? undefined,
    decisionId: text(said.decisionId),
    details: Array.isArray(said.details) ? said.details.filter(isObject) : [],
  });
}

/** @param {Record<string, unknown>[]} details */
function limitOf(details) {
  for (const detail of details) {
    const [violation] = Array.isArray(detail.violations) ? detail.violations : [];
    if (isObject(violation) && typeof violation.subject === "string") return violation.subject;
  }
  return undefined;
}

/** @param {unknown} value */
function seconds(value) {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === "number" && number >= 0 ? number : undefined;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
