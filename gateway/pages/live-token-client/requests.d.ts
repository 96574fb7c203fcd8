/** Requests to the gateway, repeated where that is safe and helps. */
import type { Clock, LiveTokensOptions } from "./types.d.ts";
export type Wanted = {
    method: "GET" | "POST";
    path: string;
    body?: string;
    idempotencyKey?: string;
    signal?: AbortSignal | undefined;
};
export type Answer = {
    body: Record<string, unknown>;
    requestId: string | undefined;
    traceId: string | undefined;
    skewMs: number;
};
export declare class Requests {
    #private;
    /** @param {LiveTokensOptions & { clock: Clock }} options */
    constructor({ baseUrl, credential, headers, fetch, // a page may replace it later
    clock, timeoutMs, attemptTimeoutMs, attempts, }: LiveTokensOptions & {
        clock: Clock;
    });
    /**
     * Asks until there is an answer, no time is left, or asking again would not help.
     *
     * @param {Wanted} wanted
     * @returns {Promise<Answer>}
     */
    ask(wanted: Wanted): Promise<Answer>;
}
