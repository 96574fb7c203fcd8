/** Time, and waiting that can be called off. */
import type { Clock } from "./types.d.ts";
/** @import { Clock } from "./types.d.ts" */
/** @type {Clock} */
export declare const systemClock: Clock;
/**
 * Runs later, unless the program ends before: Node does not wait for it.
 *
 * @param {Clock} clock
 * @param {() => void} run
 * @param {number} milliseconds
 */
export declare function inBackground(clock: Clock, run: () => void, milliseconds: number): unknown;
/**
 * Waits, with its caller, so Node waits too.
 *
 * @param {Clock} clock
 * @param {number} milliseconds
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
export declare function sleep(clock: Clock, milliseconds: number, signal: AbortSignal | undefined): Promise<void>;
/**
 * What `promise` becomes, or `signal`'s reason, whichever is first.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
export declare function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T>;
