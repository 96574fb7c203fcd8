/** Where the time goes: each part of the way as a range, half to nearly all, on one scale of tens. */

import { find, make } from "../common/elements.js";
import { milliseconds } from "./heard.js";
import { latency } from "./words.js";

/** @import {Hop} from "./types.js" */

const SHORTEST_MS = 0.1;
const DECADES = 5; // up to 10 s

/** @type {Record<string, { of: string, depth: number }>} */
const PARTS = {
  gateway: { of: "all of it, as callers see it", depth: 0 },
  tokenservice: { of: "the call behind the gateway", depth: 1 },
  policy: { of: "one call of the sidecar", depth: 2 },
  gemini: { of: "one attempt to mint", depth: 2 },
};

/** @type {Map<string, ReturnType<typeof row>>} */
const rows = new Map();

/**
 * Shows how long each part took. Rows stay while their numbers change.
 *
 * @param {Hop[]} hops
 */
export function showLatency(hops) {
  for (const { name } of hops) if (!rows.has(name)) rows.set(name, row(name));
  for (const [name, { item, show }] of rows) {
    const hop = hops.find((each) => each.name === name);
    if (hop) show(hop);
    else item.remove();
  }
  const list = find("latency", HTMLElement);
  if (list.children.length === hops.length) return;
  list.replaceChildren(...hops.flatMap(({ name }) => rows.get(name)?.item ?? []));
}

/**
 * Returns where a time is on the scale.
 *
 * @param {number} time in milliseconds
 * @returns {number} from 0 to 1
 */
export function position(time) {
  const decades = Math.log10(Math.max(time, SHORTEST_MS) / SHORTEST_MS);
  return Math.min(1, decades / DECADES);
}

/** @param {string} name */
function row(name) {
  const { of = "", depth = 0 } = PARTS[name] ?? {};
  const words = make("span", { class: "hop-words" });
  const range = make("span", { class: "range" }, make("span", { class: "half" }));
  const item = make(
    "li",
    { class: `depth-${depth}` },
    make("span", { class: "hop" }, name),
    make("span", { class: "quiet" }, of),
    words,
    make("div", { class: "track", "aria-hidden": "true" }, range),
  );
  const show = (/** @type {Hop} */ { count, p50, p99 }) => {
    const [half, most] = [milliseconds(p50), milliseconds(p99)];
    range.hidden = count === 0;
    range.style.setProperty("--from", String(position(half)));
    range.style.setProperty("--to", String(position(most)));
    words.textContent = count ? `${latency(half)} – ${latency(most)}` : "nothing lately";
  };
  return { item, show };
}
