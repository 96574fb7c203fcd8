/** Whom policy means: a user or an address, by a pseudonym. */

import { make } from "../common/elements.js";

/** @import {Offender} from "./types.js" */

/**
 * Says who is meant.
 *
 * @param {Offender} offender
 * @returns {string}
 */
export function named({ user, address }) {
  return user ? `user ${user}` : `address ${address ?? ""}`;
}

/**
 * Shows who is meant.
 *
 * @param {Offender} offender
 * @returns {HTMLElement}
 */
export function offenderOf({ user, address }) {
  const kind = make("span", { class: "kind" }, user ? "user" : "address");
  return make("span", { class: "offender" }, kind, " ", make("code", {}, user ?? address ?? ""));
}
