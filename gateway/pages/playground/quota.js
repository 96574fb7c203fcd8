/** The quota as bars, each with when its limit allows the next token. */

import { now, timeOfDay } from "../common/clock.js";
import { asClock, countDown } from "../common/countdown.js";
import { find, make } from "../common/elements.js";
import { nameOf, unitOf } from "../common/limits.js";

/** @import {Usage} from "../live-token-client/index.js" */

/** @typedef {NonNullable<Usage["byLimit"]>[number]} LimitUse */

/** @type {(() => void)[]} */
let running = [];

/**
 * Shows a caller's usage, from now on.
 *
 * @param {Usage} usage
 */
export function showQuota(usage) {
  hideQuota();
  find("quota-empty", HTMLElement).hidden = true;
  find("quota-bars", HTMLElement).replaceChildren(...(usage.byLimit ?? []).map(bar));
  showNext(usage.nextAllowedAt);
}

/** Shows nobody's usage. */
export function hideQuota() {
  for (const stop of running) stop();
  running = [];
  find("quota-empty", HTMLElement).hidden = false;
  find("quota-bars", HTMLElement).replaceChildren();
  find("quota-next", HTMLElement).replaceChildren();
}

/** @param {string | undefined} nextAllowedAt */
function showNext(nextAllowedAt) {
  const next = find("quota-next", HTMLElement);
  const show = (/** @type {number} */ left) => {
    const when = left ? `in ${asClock(left)}, at ${timeOfDay(moment)}` : "now";
    next.replaceChildren("The next token is allowed ", make("strong", {}, when), ".");
  };
  const moment = Date.parse(nextAllowedAt ?? "") || now();
  running.push(countDown(moment, show));
}

/** @param {LimitUse} use */
function bar(use) {
  const name = nameOf(use.limit);
  const id = `limit-${use.limit}`;
  const words = make("span", { class: "bar-words" });
  const fill = make("span", { class: "bar-fill" });
  const meter = make("div", { role: "meter", class: "bar", "aria-labelledby": id }, fill);
  const item = make("li", {}, make("span", { id, class: "bar-name" }, name), words, meter);
  const show = (/** @type {number} */ used, /** @type {string} */ sentence) => {
    const share = use.value > 0 ? Math.min(1, used / use.value) : 0;
    words.textContent = sentence;
    fill.style.setProperty("--share", String(share));
    meter.classList.toggle("full", share >= 1 || (use.limit === "cooldown" && used > 0));
    meter.setAttribute("aria-valuemin", "0");
    meter.setAttribute("aria-valuemax", String(use.value));
    meter.setAttribute("aria-valuenow", String(Math.min(used, use.value)));
    meter.setAttribute("aria-valuetext", sentence);
  };
  if (use.limit === "cooldown") showCooldown(use, show);
  else show(use.used ?? 0, counted(use));
  return item;
}

/**
 * @param {LimitUse} use
 * @param {(used: number, sentence: string) => void} show
 */
function showCooldown({ value, nextAllowedAt }, show) {
  const end = Date.parse(nextAllowedAt ?? "") || now();
  const each = (/** @type {number} */ left) => {
    const whole = asClock(value * 1000);
    show(left / 1000, left ? `${asClock(left)} of ${whole} to wait` : `${whole} after each token`);
  };
  running.push(countDown(end, each));
}

/** @param {LimitUse} use */
function counted({ limit, used = 0, value, nextAllowedAt }) {
  const sentence = `${used} of ${value} ${unitOf(limit)}`;
  return nextAllowedAt ? `${sentence}; the next at ${timeOfDay(Date.parse(nextAllowedAt))}` : sentence;
}
