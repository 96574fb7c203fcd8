/** The button by which a visitor begins to speak, and ends. */

import { announce, find, switchOff, whenPressed } from "../common/elements.js";
import { Microphone, RATE, whyNone } from "./microphone.js";
import { BYTES_PER_SAMPLE } from "./pcm.js";

/**
 * Who listens. `begun` returns whether somebody does, `ended` is told for how many seconds.
 *
 * @typedef {object} Listener
 * @property {() => boolean} begun
 * @property {(pcm: Uint8Array, rate: number) => void} heard
 * @property {(seconds: number) => void} ended
 */

/** One microphone, on or off. */
export class SpeakButton {
  #button = find("talk", HTMLButtonElement);
  #reason = find("why-no-microphone", HTMLElement);
  #microphone = new Microphone((pcm) => this.#hear(pcm));
  #on = false;
  #bytes = 0;

  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.#reason.textContent = whyNone();
    switchOff(this.#button, whyNone() !== "");
    whenPressed(this.#button, () => (this.#on ? this.stop() : this.#start()));
  }

  /** Switches the microphone off, if it is on. */
  async stop() {
    if (!this.#on) return;
    this.#show(false);
    switchOff(this.#button, true);
    await this.#microphone.stop();
    switchOff(this.#button, false);
    this.listener.ended(this.#bytes / BYTES_PER_SAMPLE / RATE);
  }

  async #start() {
    this.#bytes = 0;
    switchOff(this.#button, true); // the browser may be asking for permission
    try {
      await this.#microphone.start();
      this.#reason.textContent = "";
    } catch (error) {
      const why = error instanceof DOMException ? error.name : "it does not work here";
      this.#reason.textContent = `No microphone: ${why}.`;
      announce(this.#reason.textContent);
      return;
    } finally {
      switchOff(this.#button, false);
    }
    this.#show(true);
    if (!this.listener.begun()) await this.stop(); // the session is over by now
  }

  /** @param {boolean} on */
  #show(on) {
    this.#on = on;
    this.#button.textContent = on ? "Stop speaking" : "Speak";
    this.#button.classList.toggle("on", on);
  }

  /** @param {Uint8Array} pcm */
  #hear(pcm) {
    this.#bytes += pcm.length;
    this.listener.heard(pcm, RATE);
  }
}
