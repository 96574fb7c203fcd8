/** One ephemeral token. */
import type { Clock, TokenAnswer } from "./types.d.ts";
/** @import { Clock, TokenAnswer } from "./types.d.ts" */
/**
 * A token, for one Live session. Its secret is `value` alone: neither JSON, nor
 * the console, nor a template string, nor a copy of the object has it.
 */
export declare class LiveToken {
    #private;
    /**
     * From then on it opens nothing, and its session is closed; by the server's clock.
     *
     * @readonly
     */
    readonly expiresAt: Date;
    /**
     * The last moment to open a session, by the server's clock.
     *
     * @readonly
     */
    readonly sessionStartWindow: Date;
    /**
     * What it is locked to.
     *
     * @readonly
     */
    readonly constraints: import("./types.d.ts").TokenConstraints;
    /**
     * The caller's quota when the token was issued.
     *
     * @readonly
     */
    readonly usage: import("./types.d.ts").Usage;
    /**
     * The Live API version to connect with.
     *
     * @readonly
     */
    readonly apiVersion: string;
    /** @readonly */
    readonly decisionId: string | undefined;
    /** @readonly */
    readonly requestId: string | undefined;
    /** @readonly */
    readonly traceId: string | undefined;
    /**
     * @param {TokenAnswer} answer
     * @param {{ clock: Clock, skewMs?: number, release?: (token: LiveToken) => void,
     *   requestId?: string | undefined, traceId?: string | undefined }} context `skewMs`: by how much the server's clock is ahead
     */
    constructor(answer: TokenAnswer, { clock, skewMs, release, requestId, traceId }: {
        clock: Clock;
        skewMs?: number;
        release?: (token: LiveToken) => void;
        requestId?: string | undefined;
        traceId?: string | undefined;
    });
    /** The secret, `auth_tokens/…`: give it to an SDK as its API key, and keep it nowhere. */
    get value(): string;
    /** The model it is locked to. */
    get model(): string;
    /** Whether its one session was opened. */
    get used(): boolean;
    /** For how many more milliseconds it opens a session; 0: not any more. */
    opensForMs(): number;
    /** Says that its one session was opened. `connect` does this by itself. */
    markUsed(): void;
    /**
     * Gives it back to the cache it is from, unless it was used: the next `get` for the same
     * constraints has it. `connect` does this if it did not reach the server.
     */
    release(): void;
    toJSON(): {
        constraints: import("./types.d.ts").TokenConstraints;
        expiresAt: Date;
        sessionStartWindow: Date;
        apiVersion: string;
        used: boolean;
    };
    toString(): string;
}
