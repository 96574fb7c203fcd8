/** Time, and waiting that can be called off. */

/** @import { Clock } from "./types.d.ts" */

/** @type {Clock} */
export const systemClock = {
  now: () => Date.now(),
  setTimeout: (run, milliseconds) => globalThis.setTimeout(run, milliseconds),
  clearTimeout: (timer) => globalThis.clearTimeout(/** @type {number} */ (timer)),
};

/**
 * Runs later, unless the program ends before: Node does not wait for it.
 *
 * @param {Clock} clock
 * @param {() => void} run
 * @param {number} milliseconds
 */
export function inBackground(clock, run, milliseconds) {
  const timer = clock.setTimeout(run, milliseconds);
  if (typeof timer === "object" && timer !== null && "unref" in timer) {
    /** @type {{ unref(): void }} */ (timer).unref();
  }
  return timer;
}

/**
 * Waits, with its caller, so Node waits too.
 *
 * @param {Clock} clock
 * @param {number} milliseconds
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
export function sleep(clock, milliseconds, signal) {
  /** @type {unknown} */
  let timer;
  const slept = /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      timer = clock.setTimeout(() => resolve(undefined), milliseconds);
    })
  );
  return unlessAborted(slept, signal).finally(() => clock.clearTimeout(timer));
}

/**
 * What `promise` becomes, or `signal`'s reason, whichever is first.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
export function unlessAborted(promise, signal) {
  if (!signal) return promise;
  promise.catch(() => {}); // nobody may be left to hear of it
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
