/** Asks first: whose block it is, why it was made, and why it is to be lifted. */

import { announce, facts, find, switchOff } from "../common/elements.js";
import { showRefusal } from "../common/refusal.js";
import { Refused } from "../common/refused.js";
import { offenderOf } from "./offenders.js";
import { when } from "./words.js";

/**
 * @import {Operations} from "./api.js"
 * @import {Block} from "./types.js"
 */

/** The dialog. Nothing is lifted unless it is confirmed, with a reason. */
export class LiftDialog {
  #operations;
  #done;
  #dialog = find("lift", HTMLDialogElement);
  #facts = find("lift-facts", HTMLElement);
  #reason = find("lift-reason", HTMLInputElement);
  #error = find("lift-error", HTMLElement);
  #refusal = find("lift-refusal", HTMLElement);
  #confirm = find("lift-confirm", HTMLButtonElement);
  /** @type {Block | undefined} */
  #block;
  #stopRefusal = () => {};

  /**
   * @param {Operations} operations
   * @param {(block: Block, lifted: boolean) => void} done
   */
  constructor(operations, done) {
    this.#operations = operations;
    this.#done = done;
    find("lift-cancel", HTMLButtonElement).addEventListener("click", () => this.close());
    find("lift-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.#reason.addEventListener("input", () => this.#complain(""));
    this.#dialog.addEventListener("close", () => this.#clear());
  }

  /**
   * Opens it.
   *
   * @param {Block} block
   */
  ask(block) {
    this.#clear();
    this.#block = block;
    this.#facts.replaceChildren(
      facts([
        ["Whose", offenderOf(block.offender)],
        ["Why", block.reason],
        ["Blocked by", block.actor],
        ["Until", when(Date.parse(block.expireTime))],
      ]),
    );
    this.#dialog.showModal(); // the focus is on what cancels: it says autofocus
  }

  close() {
    this.#dialog.close();
  }

  async #submit() {
    const block = this.#block;
    const reason = this.#reason.value.trim();
    if (!block || this.#confirm.getAttribute("aria-disabled") === "true") return;
    if (!reason) {
      this.#complain("Say why: it is kept in the log.");
      this.#reason.focus();
      return;
    }
    switchOff(this.#confirm, true);
    this.#forgetRefusal();
    try {
      const lifted = await this.#operations.lift(block.offender, reason);
      if (this.#block === block) this.close();
      this.#done(block, lifted);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      announce(`Refused: ${error.message}`);
      if (this.#block === block) this.#stopRefusal = showRefusal(this.#refusal, error);
    } finally {
      switchOff(this.#confirm, false);
    }
  }

  /** @param {string} sentence */
  #complain(sentence) {
    this.#error.textContent = sentence;
    this.#reason.setAttribute("aria-invalid", String(sentence !== ""));
  }

  #clear() {
    this.#block = undefined;
    this.#reason.value = "";
    this.#facts.replaceChildren();
    this.#complain("");
    this.#forgetRefusal();
  }

  #forgetRefusal() {
    this.#stopRefusal();
    this.#refusal.replaceChildren();
  }
}
