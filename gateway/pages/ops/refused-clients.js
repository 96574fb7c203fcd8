/** Who was refused most. */

import { find, make } from "../common/elements.js";
import { now } from "../common/clock.js";
import { named, offenderOf } from "./offenders.js";
import { ago, counted, when } from "./words.js";

/** @import {RefusedClient} from "./types.js" */

/**
 * Shows them, the most first, in place of those before.
 *
 * @param {RefusedClient[]} clients
 * @param {string} since
 */
export function showRefusedClients(clients, since) {
  const most = Math.max(1, ...clients.map(({ refusals }) => refusals));
  find("clients", HTMLElement).replaceChildren(...clients.map((client) => row(client, most)));
  const nobody = clients.length === 0 ? "Nobody was refused" : "Counted";
  find("clients-since", HTMLElement).textContent = since ? `${nobody} since ${when(Date.parse(since))}.` : "";
}

/**
 * @param {RefusedClient} client
 * @param {number} most
 */
function row({ offender, refusals, lastReason, lastTime }, most) {
  const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span", { class: "bar-fill" }));
  bar.style.setProperty("--share", String(refusals / most));
  const last = ` last for ${lastReason}, ${ago(now() - Date.parse(lastTime))}`;
  return make(
    "li",
    {},
    offenderOf(offender),
    make("span", { class: "count", title: named(offender) }, counted(refusals, "refusal")),
    bar,
    make("span", { class: "quiet" }, last),
  );
}
