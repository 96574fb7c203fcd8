/** Time that goes on when a test says so. */

import { setImmediate } from "node:timers/promises";

export class FakeClock {
  #now = Date.parse("2026-01-01T00:00:00Z");
  #timers = new Map();
  #lastTimer = 0;

  now() {
    return this.#now;
  }

  setTimeout(run, milliseconds) {
    this.#lastTimer += 1;
    this.#timers.set(this.#lastTimer, { run, at: this.#now + milliseconds });
    return this.#lastTimer;
  }

  clearTimeout(timer) {
    this.#timers.delete(timer);
  }

  get waiting() {
    return this.#timers.size;
  }

  /** Lets time pass, and all happen that is due meanwhile. */
  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      await settled();
      const [timer, next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!next || next.at > end) break;
      this.#timers.delete(timer);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }
}

/** Lets everything happen that waits for no time to pass. */
export async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}

/** Whether a promise has not come to anything yet. */
export async function isPending(promise) {
  const pending = Symbol("pending");
  await settled();
  return (await Promise.race([promise, pending]).catch(() => "rejected")) === pending;
}

/** What a promise is rejected with: also if time has to pass before. */
export function failure(promise) {
  return promise.then(
    () => {
      throw new Error("did not fail");
    },
    (error) => error,
  );
}
