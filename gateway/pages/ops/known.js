/** How far a list is known: as of when, and since when and why it cannot be read. */

import { find } from "../common/elements.js";
import { showRefusal } from "../common/refusal.js";
import { toTheSecond } from "./words.js";

/** @import {Refused} from "../common/refused.js" */

/** What is said of a list beside what is in it. */
export class Known {
  #unread;
  #refusal;
  #asOf;
  #section;
  #stopRefusal = () => {};
  // As they were written: what is thought of the gateway's clock may change meanwhile.
  #read = "";
  #unreadSince = "";

  /** @param {string} name of the list, which the ids of its places begin with */
  constructor(name) {
    this.#unread = find(`${name}-unread`, HTMLElement);
    this.#refusal = find(`${name}-refusal`, HTMLElement);
    this.#asOf = find(`${name}-as-of`, HTMLElement);
    this.#section = this.#asOf.closest("section");
  }

  /**
   * Says that what is shown is how it stands.
   *
   * @param {number} moment at which it was asked for, by the page's time
   */
  isRead(moment) {
    this.clear();
    this.#read = toTheSecond(moment);
  }

  /** Says that what is shown is how it stood when it was read; of what was never read, nothing. */
  isOld() {
    this.#section?.classList.add("stale");
    this.#asOf.textContent = this.#read && `As of ${this.#read}:`;
  }

  /**
   * Says that it could not be read, with the answer as it was.
   *
   * @param {Refused} refused
   */
  isRefused(refused) {
    this.#isUnread("");
    this.#stopRefusal();
    this.#stopRefusal = showRefusal(this.#refusal, refused);
  }

  /**
   * Says that it cannot be read, for what is shown elsewhere in full.
   *
   * @param {string} why
   */
  isDenied(why) {
    this.#takeRefusalAway();
    this.#isUnread(why);
  }

  clear() {
    this.#takeRefusalAway();
    this.#unread.textContent = this.#asOf.textContent = "";
    this.#section?.classList.remove("stale");
    this.#read = this.#unreadSince = "";
  }

  /** @param {string} why */
  #isUnread(why) {
    this.isOld();
    this.#unreadSince ||= toTheSecond(Date.now());
    this.#unread.textContent = `Could not be read since ${this.#unreadSince}: ${why}`.trim();
  }

  #takeRefusalAway() {
    this.#stopRefusal();
    this.#stopRefusal = () => {};
    this.#refusal.replaceChildren();
  }
}
