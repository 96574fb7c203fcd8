/** A refusal as it is: the gateway's own sentence, and all that came with it. */

import { now, timeOfDay } from "./clock.js";
import { asClock, countDown } from "./countdown.js";
import { make } from "./elements.js";
import { nameOf } from "./quota.js";
import { trailOf } from "./trail.js";

/** @import {Refused} from "./api.js" */

/**
 * Shows a refusal in a place.
 *
 * @param {HTMLElement} place
 * @param {Refused} refused
 * @returns {() => void} what stops its countdown
 */
export function showRefusal(place, refused) {
  const wait = make("p", { class: "wait" });
  const box = make(
    "div",
    { class: "refusal" },
    make("p", { class: "badges" }, ...badges(refused)),
    make("p", { class: "sentence" }, refused.message),
    wait,
    trailOf(refused.trail),
  );
  if (refused.details.length > 0) {
    const content = make("pre", { tabindex: "0" }, JSON.stringify(refused.details, null, 2));
    box.append(make("details", {}, make("summary", {}, "Details"), content));
  }
  place.replaceChildren(box);
  return showWait(wait, refused.retryAfter);
}

/** @param {Refused} refused */
function badges({ status, code, limit }) {
  const named = make("code", { class: "badge" }, code);
  const number = status ? [make("span", { class: "badge" }, String(status))] : [];
  const which = limit ? [make("span", { class: "badge strong" }, nameOf(limit))] : [];
  return [...number, named, ...which];
}

/**
 * @param {HTMLElement} place
 * @param {number | undefined} seconds
 */
function showWait(place, seconds) {
  place.hidden = !seconds;
  if (!seconds) return () => {};
  const moment = now() + seconds * 1000;
  return countDown(moment, (left) => {
    const when = left ? `in ${asClock(left)}, at ${timeOfDay(moment)}` : "now";
    place.replaceChildren("Try again ", make("strong", {}, when), ".");
  });
}

/**
 * Says why a socket is closed, in the service's words and in ours.
 *
 * @param {HTMLElement} place
 * @param {import("./types.js").Closing} closing
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
