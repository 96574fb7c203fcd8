/** Tokens of one kind that wait for somebody to use them. */
import type { LiveToken } from "./live-token.js";
import type { TokenFields } from "./types.d.ts";
/** @import { LiveToken } from "./live-token.js" */
/** @import { TokenFields } from "./types.d.ts" */
export declare class Shelf {
    #private;
    /** The request for a token that is under way: one at a time. @type {Promise<void> | undefined} */
    pending: Promise<void> | undefined;
    /** Stops the renewal of what waits here. @type {(() => void) | undefined} */
    stopRenewal: (() => void) | undefined;
    /** @param {LiveToken} token */
    put(token: LiveToken): void;
    /**
     * Takes a token away, the one that opens sessions for the shortest time.
     *
     * @param {number} leastMs the time for which it has to open a session, at least
     */
    take(leastMs: number): LiveToken | undefined;
    /** Throws away what opens nothing any more. */
    sweep(): void;
    /** Throws away everything. */
    clear(): void;
    /** For how many milliseconds something here opens a session. */
    opensForMs(): number;
    get empty(): boolean;
}
/**
 * The same text for the same constraints, however they are written.
 *
 * @param {TokenFields} fields
 */
export declare function canonical(fields: TokenFields): string;
