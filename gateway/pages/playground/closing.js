/** Why a socket is closed, in the service's words and in ours. */

import { make } from "../common/elements.js";

/** @import {Closing} from "./types.js" */

/**
 * Says why a socket is closed, in the service's words and in ours.
 *
 * @param {HTMLElement} place
 * @param {Closing} closing
 * @param {boolean} beforeSetup whether no session had begun
 */
export function showClosing(place, { code, reason }, beforeSetup) {
  const what = beforeSetup ? "The session was refused" : "The session has ended";
  place.replaceChildren(
    make(
      "div",
      { class: "refusal" },
      make("p", { class: "badges" }, make("span", { class: "badge" }, String(code))),
      make("p", { class: "sentence" }, reason || `${what}, without a word why.`),
      make("p", {}, meaning(code, reason)),
    ),
  );
}

/**
 * @param {number} code
 * @param {string} reason
 */
function meaning(code, reason) {
  if (/used too many times/i.test(reason)) {
    return "A token opens one session, and this one has. Get another token.";
  }
  if (/expired/i.test(reason)) {
    return "The time to start a session, or the token's own, is over. Get another token.";
  }
  return MEANINGS[code] ?? "";
}

/** @type {Record<number, string>} */
const MEANINGS = {
  1000: "The service ended the session.",
  1001: "The service is going away.",
  1006: "The connection was cut, or never came about.",
  1007: "The service did not accept what it was sent: a setting of the token, or a message.",
  1008: "The service does not allow this: a model, a caller, or a connection of this age.",
  1011: "The service could not go on.",
};
