/** What goes wrong, and what to do about it. */
/**
 * No answer as hoped for. `code` is the gateway's, or one of the client's own:
 * `NETWORK` (no answer; in a browser also an origin that is not allowed),
 * `TIMEOUT` (no answer in time), `UNREADABLE_ANSWER` (not the gateway's).
 */
export declare class LiveTokenError extends Error {
    /**
     * The HTTP status; 0 if there was no answer.
     *
     * @readonly
     */
    readonly status: number;
    /**
     * Stable, in contrast to the message.
     *
     * @readonly
     */
    readonly code: string;
    /**
     * Seconds to wait before asking again; undefined where waiting does not help.
     *
     * @readonly
     */
    readonly retryAfter: number | undefined;
    /**
     * Finds the request in the gateway's log.
     *
     * @readonly
     */
    readonly requestId: string | undefined;
    /**
     * Finds the request in traces, in every process's log and in the ledger: 32 hex digits.
     *
     * @readonly
     */
    readonly traceId: string | undefined;
    /**
     * Finds the decision, for operators.
     *
     * @readonly
     */
    readonly decisionId: string | undefined;
    /**
     * google.rpc messages.
     *
     * @readonly
     */
    readonly details: Record<string, unknown>[];
    /**
     * The limit that was met, such as `cooldown`.
     *
     * @readonly
     */
    readonly limit: string | undefined;
    /**
     * @param {string} message
     * @param {{
     *   status?: number, code: string, retryAfter?: number | undefined,
     *   requestId?: string | undefined, traceId?: string | undefined,
     *   decisionId?: string | undefined,
     *   details?: Record<string, unknown>[], cause?: unknown,
     * }} what
     */
    constructor(message: string, what: {
        status?: number;
        code: string;
        retryAfter?: number | undefined;
        requestId?: string | undefined;
        traceId?: string | undefined;
        decisionId?: string | undefined;
        details?: Record<string, unknown>[];
        cause?: unknown;
    });
    /**
     * The same refusal, with what is left of its wait.
     *
     * @param {number} retryAfter seconds
     */
    again(retryAfter: number): LiveTokenError;
}
/**
 * No Live session. `code` is the one the socket was closed with (1011: the token was
 * used or has expired), or `TIMEOUT`, `TOKEN_USED` (by this program: nothing was sent)
 * or `FAILED` (the SDK said no more than `reason`).
 */
export declare class LiveConnectError extends Error {
    /** @readonly */
    readonly code: number | "FAILED" | "TIMEOUT" | "TOKEN_USED";
    /**
     * As the server gave it.
     *
     * @readonly
     */
    readonly reason: string;
    /**
     * @param {number | "TIMEOUT" | "TOKEN_USED" | "FAILED"} code
     * @param {string} reason
     */
    constructor(code: number | "TIMEOUT" | "TOKEN_USED" | "FAILED", reason: string);
}
/**
 * Reads a refusal's body.
 *
 * @param {number} status
 * @param {unknown} body
 * @param {Headers} headers
 */
export declare function refusalOf(status: number, body: unknown, headers: Headers): LiveTokenError;
