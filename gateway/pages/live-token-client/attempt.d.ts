/** An attempt to open a Live session: what its socket says becomes a refusal, or the caller's. */
import { LiveConnectError } from "./errors.js";
import type { LiveToken } from "./live-token.js";
import type { Clock } from "./types.d.ts";
export type Callbacks = Record<string, ((...events: unknown[]) => void) | undefined>;
export type SocketEvent = {
    code?: number;
    reason?: string;
    message?: string;
};
export declare class Attempt {
    #private;
    /**
     * Rejects once the session is refused; never resolves.
     *
     * @type {Promise<never>}
     */
    refused: Promise<never>;
    /**
     * @param {LiveToken} token
     * @param {Callbacks} callbacks the caller's own
     * @param {Clock} clock
     */
    constructor(token: LiveToken, callbacks: Callbacks, clock: Clock);
    /**
     * What to give to the SDK as callbacks.
     *
     * @returns {Callbacks}
     */
    get callbacks(): Callbacks;
    /**
     * Refuses it, now or later; unless it is over by then.
     *
     * @param {LiveConnectError["code"]} code
     * @param {string} reason
     * @param {number} [milliseconds]
     */
    refuse(code: LiveConnectError["code"], reason: string, milliseconds?: number): void;
    /**
     * Refuses it, unless the socket tells more at once.
     *
     * @param {string} reason
     */
    fail(reason: string): void;
    /** @param {"connected" | "given up"} how */
    end(how: "connected" | "given up"): void;
}
