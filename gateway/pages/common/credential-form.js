/** Who asks. The credential is in its field, and in requests to the gateway, and nowhere else. */

import { announce, find } from "./elements.js";
import { Refused } from "./refused.js";

/** @import {Credential} from "./types.js" */

const API_KEY_PREFIX = "ltk_";

/** The field for the credential. */
export class CredentialForm {
  #text = find("credential", HTMLInputElement);
  #bearer = find("kind-bearer", HTMLInputElement);
  #apiKey = find("kind-api-key", HTMLInputElement);
  #status = find("credential-status", HTMLElement);
  #turn = 0;

  /**
   * @param {object} then
   * @param {(credential: Credential) => void} then.changed it is another one, or none
   * @param {() => Promise<() => void>} then.introduce tries it, and returns what to do if it
   *   is still the same by then; fails with Refused
   */
  constructor({ changed, introduce }) {
    this.changed = changed;
    this.introduce = introduce;
    this.#text.addEventListener("input", () => this.#guessKind());
    // Not while it is typed: each wrong credential counts against the visitor's address.
    for (const input of [this.#text, this.#bearer, this.#apiKey]) {
      input.addEventListener("change", () => this.#introduce());
    }
    // It may have been entered while the page was still being put together.
    if (this.#text.value && document.activeElement !== this.#text) void this.#introduce();
  }

  forget() {
    this.#text.value = "";
    this.#bearer.checked = true;
    void this.#introduce();
  }

  get isFilled() {
    return this.#text.value.trim() !== "";
  }

  focus() {
    this.#text.focus();
  }

  /** Empties the field; who asks remains who it was. */
  empty() {
    this.#text.value = "";
  }

  /**
   * Says that who was accepted is not any more.
   *
   * @param {string} why
   */
  reject(why) {
    this.#say(why, true);
  }

  #guessKind() {
    if (this.#text.value.trim().startsWith(API_KEY_PREFIX)) this.#apiKey.checked = true;
  }

  async #introduce() {
    const turn = ++this.#turn;
    const kind = this.#apiKey.checked ? "api-key" : "bearer";
    this.changed({ kind, text: this.#text.value });
    this.#say("");
    if (!this.#text.value.trim()) return;
    try {
      const proceed = await this.introduce();
      if (turn !== this.#turn) return; // there is another one by now
      proceed();
      this.#say("Accepted.");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn === this.#turn) this.#say(error.message, true);
    }
  }

  /**
   * @param {string} sentence
   * @param {boolean} [wrong]
   */
  #say(sentence, wrong = false) {
    this.#status.textContent = sentence;
    this.#status.classList.toggle("wrong", wrong);
    this.#text.setAttribute("aria-invalid", String(wrong));
    if (sentence) announce(sentence);
  }
}
