/** An issued token: its deadlines, what it is locked to, and how to find it again in logs. */

import { timeOfDay } from "../common/clock.js";
import { asClock, countDown } from "../common/countdown.js";
import { facts, make } from "../common/elements.js";
import { copyButton, trailOf } from "../common/trail.js";

/**
 * @import {LiveToken, TokenConstraints} from "../live-token-client/index.js"
 * @import {Trail} from "../common/types.js"
 */

const MASKED = "auth_tokens/••••••••••••";

/**
 * Shows a token in a place. Its text is not put on the page, only on the clipboard.
 *
 * @param {HTMLElement} place
 * @param {LiveToken} token
 * @param {Trail} trail
 * @returns {() => void} what stops its countdowns
 */
export function showToken(place, token, trail) {
  const start = deadline("Start within", token.sessionStartWindow);
  const end = deadline("Expires in", token.expiresAt);
  place.replaceChildren(
    make("p", { class: "copyable" }, make("code", {}, MASKED), copyButton("the token", () => token.value)),
    make("div", { class: "deadlines" }, start.shown, end.shown),
    make("div", {}, make("h3", {}, "Locked"), facts(locked(token.constraints, token.apiVersion))),
    make("div", {}, make("h3", {}, "Find it in logs and traces"), trailOf(trail)),
  );
  return () => [start, end].forEach(({ stop }) => stop());
}

/**
 * @param {TokenConstraints} constraints
 * @param {string} apiVersion
 * @returns {[string, string | undefined][]}
 */
function locked(constraints, apiVersion) {
  const { model, requestedModel, requestedModelRetiredOn: retired, temperature } = constraints;
  const stands = retired ? `, which was retired on ${retired}` : "";
  return [
    ["Model", model],
    ["Asked for", requestedModel && `${requestedModel}${stands}`],
    ["Answers in", constraints.responseModality === "AUDIO" ? "audio" : "text"],
    ["Lifetime", minutes(constraints.maxDuration)],
    ["Temperature", temperature?.toString()],
    ["API version", apiVersion],
  ];
}

/** @param {number} count */
function minutes(count) {
  return count === 1 ? "1 minute" : `${count} minutes`;
}

/**
 * @param {string} label
 * @param {Date} time
 */
function deadline(label, time) {
  const moment = time.getTime();
  const left = make("span", { role: "timer", class: "left" });
  const until = make("span", { class: "until" });
  const shown = make("div", { class: "deadline" }, make("span", {}, label), left, until);
  const stop = countDown(moment, (leftMs) => {
    left.textContent = leftMs ? asClock(leftMs) : "over";
    until.textContent = `${leftMs ? "until" : "since"} ${timeOfDay(moment)}`;
    shown.classList.toggle("over", leftMs === 0);
  });
  return { shown, stop };
}
