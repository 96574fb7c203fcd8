/** What a visitor takes along: texts with a button that copies them. */

import { announce, facts, make } from "./elements.js";

/** @import {Trail} from "./types.js" */

const COPIED_MS = 2_000;

/**
 * Returns a button that copies a text, which need not be on the page. Browsers let a page
 * copy over HTTPS or on this machine; elsewhere there is no button.
 *
 * @param {string} what such as `the decision id`
 * @param {() => string} text
 * @returns {HTMLButtonElement | string}
 */
export function copyButton(what, text) {
  if (!navigator.clipboard) return "";
  const button = make("button", { type: "button", class: "small" }, "Copy");
  button.append(make("span", { class: "visually-hidden" }, ` ${what}`));
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(text()).then(
      () => true,
      () => false,
    );
    announce(copied ? `Copied ${what}.` : `The browser did not let ${what} be copied.`);
    button.classList.toggle("copied", copied);
    setTimeout(() => button.classList.remove("copied"), COPIED_MS);
  });
  return button;
}

/**
 * Returns the ids of a request, each to copy.
 *
 * @param {Trail} trail
 * @returns {HTMLElement}
 */
export function trailOf({ decisionId, requestId, traceId }) {
  const list = facts([
    ["Decision", decisionId && copyable("the decision id", decisionId)],
    ["Request", requestId && copyable("the request id", requestId)],
    ["Trace", copyable("the trace id", traceId)],
  ]);
  list.classList.add("trail");
  return list;
}

/**
 * @param {string} what
 * @param {string} text
 */
function copyable(what, text) {
  const both = make("span", { class: "copyable" }, make("code", {}, text));
  both.append(copyButton(what, () => text));
  return both;
}
