/** A refusal as it is: the gateway's own sentence, and all that came with it. */

import { now, timeOfDay } from "./clock.js";
import { asClock, countDown } from "./countdown.js";
import { make } from "./elements.js";
import { nameOf } from "./limits.js";
import { trailOf } from "./trail.js";

/** @import {Refused} from "./refused.js" */

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
