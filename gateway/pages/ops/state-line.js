/** How it stands with the stream, in words and colour. */

import { now } from "../common/clock.js";
import { asClock, countDown } from "../common/countdown.js";
import { announce, find } from "../common/elements.js";

/** @import {State} from "./types.js" */

/** The line, and the buttons beside it. */
export class StateLine {
  #line = find("state", HTMLElement);
  #stop = find("stop", HTMLButtonElement);
  #again = find("again", HTMLButtonElement);
  #stopCountDown = () => {};
  #said = "";
  /** @type {State["kind"]} */
  kind = "idle";
  mayGoOn = true;

  /**
   * @param {State} state
   * @param {boolean} [mayGoOn] with the same credential
   */
  show(state, mayGoOn = true) {
    this.#stopCountDown();
    this.kind = state.kind;
    this.mayGoOn = mayGoOn;
    this.#line.className = `state ${state.kind}`;
    this.#stop.hidden = !["connecting", "live", "waiting"].includes(state.kind);
    this.#again.hidden = !mayGoOn || !["waiting", "stopped"].includes(state.kind);
    this.#again.textContent = state.kind === "waiting" ? "Try now" : "Watch again";
    switch (state.kind) {
      case "idle":
        return this.#write("Not watching", "");
      case "connecting":
        return this.#write("Connecting…", this.#said);
      case "live":
        return this.#write("Live", "Live.");
      case "stopped":
        return this.#write(`Stopped: ${state.why}`, `Stopped: ${state.why}`);
      case "waiting":
        return this.#wait(state);
    }
  }

  /** @param {Extract<State, { kind: "waiting" }>} state */
  #wait({ why, until, planned }) {
    const sentence = `Reconnecting: ${why}`;
    this.#write(sentence, planned ? this.#said : sentence); // of what is planned, nobody need hear
    if (planned) return;
    this.#stopCountDown = countDown(until + now() - Date.now(), (left) => {
      this.#line.textContent = `Reconnecting in ${asClock(left)}: ${why}`;
    });
  }

  /**
   * @param {string} words
   * @param {string} spoken is said once to who listens, not each time that it is tried again
   */
  #write(words, spoken) {
    this.#line.textContent = words;
    if (spoken && spoken !== this.#said) announce(spoken);
    this.#said = spoken;
  }
}
