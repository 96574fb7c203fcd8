/** Where a program gets its tokens. */
import { LiveToken } from "./live-token.js";
import type { Config, LiveTokensOptions } from "./types.d.ts";
import type { TokenFields, Usage } from "./types.d.ts";
/** Tokens of one user: make another, or `clear` this one, when the user changes. */
export declare class LiveTokens {
    #private;
    /** @param {LiveTokensOptions} options */
    constructor({ clock, marginMs, ...options }: LiveTokensOptions);
    /**
     * Asks for a new token, whatever is cached. A lost answer costs no second token: all
     * attempts have one idempotency key.
     *
     * @param {TokenFields} [fields]
     * @param {{ signal?: AbortSignal, idempotencyKey?: string }} [options]
     * @returns {Promise<LiveToken>}
     * @throws {LiveTokenError} there is no token
     */
    requestToken(fields?: TokenFields, { signal, idempotencyKey }?: {
        signal?: AbortSignal;
        idempotencyKey?: string;
    }): Promise<LiveToken>;
    /**
     * A token for `constraints` that nobody else has: one that waits, because it was
     * prefetched or released, or else a new one. A caller that aborts leaves the request to
     * whoever asks next, as it may have cost quota already.
     *
     * @param {TokenFields} [constraints]
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Promise<LiveToken>}
     * @throws {LiveTokenError} there is no token; while its `retryAfter` lasts, without a request
     */
    get(constraints?: TokenFields, { signal }?: {
        signal?: AbortSignal;
    }): Promise<LiveToken>;
    /**
     * Sees to it that a token waits for the next `get`. With `renew`, one goes on waiting
     * until it is taken or `signal` aborts: each renewal costs quota. A renewal that is
     * refused is tried again when its wait is over, and given up where there is none.
     *
     * @param {TokenFields} [constraints]
     * @param {{ signal?: AbortSignal, renew?: boolean }} [options]
     * @returns {Promise<void>}
     * @throws {LiveTokenError} there is no token, and none will be waiting
     */
    prefetch(constraints?: TokenFields, { signal, renew }?: {
        signal?: AbortSignal;
        renew?: boolean;
    }): Promise<void>;
    /**
     * The user's quota.
     *
     * @param {{ signal?: AbortSignal, onBehalfOf?: string }} [options]
     * @returns {Promise<Usage>}
     */
    usage(options?: {
        signal?: AbortSignal;
        onBehalfOf?: string;
    }): Promise<Usage>;
    /**
     * The models, durations and limits in force.
     *
     * @param {{ signal?: AbortSignal, onBehalfOf?: string }} [options]
     * @returns {Promise<Config>}
     */
    config(options?: {
        signal?: AbortSignal;
        onBehalfOf?: string;
    }): Promise<Config>;
    /** Forgets every token and refusal, and ends what is under way: `CLEARED`. */
    clear(): void;
}
