/** The blocks in force, page by page, each with a button that lifts it. */

import { announce, find, make, whenPressed } from "../common/elements.js";
import { countDown } from "../common/countdown.js";
import { LiftDialog } from "./lift-dialog.js";
import { named, offenderOf } from "./offenders.js";
import { span, when } from "./words.js";

/**
 * @import {Operations} from "./api.js"
 * @import {Block} from "./types.js"
 */

const PAGE = 20;

/** The list of blocks. */
export class Blocks {
  #operations;
  #changed;
  #dialog;
  #list = find("blocks", HTMLElement);
  #none = find("blocks-none", HTMLElement);
  #outcome = find("blocks-outcome", HTMLElement);
  #title = find("blocks-title", HTMLElement);
  #count = find("blocks-count", HTMLElement);
  #more = find("blocks-more", HTMLButtonElement);
  #pages = 1;
  /** @type {Map<string, { item: HTMLElement, stop: () => void }>} */
  #shown = new Map();

  /**
   * @param {Operations} operations
   * @param {() => void} changed the list is to be asked for again
   */
  constructor(operations, changed) {
    this.#operations = operations;
    this.#changed = changed;
    this.#dialog = new LiftDialog(operations, (block, lifted) => this.#lifted(block, lifted));
    whenPressed(this.#more, () => {
      this.#pages += 1;
      this.#changed();
    });
  }

  /**
   * Asks for the pages that are shown.
   *
   * @returns {Promise<() => void>} what shows them
   * @throws {import("../common/refused.js").Refused}
   */
  async ask() {
    /** @type {Block[]} */
    const blocks = [];
    let token = "";
    for (let page = 0; page < this.#pages && (page === 0 || token); page += 1) {
      const answer = await this.#operations.blocks(PAGE, token);
      blocks.push(...answer.blocks);
      token = answer.nextPageToken;
    }
    return () => this.#show(blocks, token !== "");
  }

  clear() {
    this.#pages = 1;
    this.#outcome.textContent = "";
    this.#dialog.close();
    this.#show([], false);
    this.#none.hidden = true;
  }

  /**
   * @param {Block[]} blocks
   * @param {boolean} more
   */
  #show(blocks, more) {
    const hadFocus = this.#list.contains(document.activeElement) || document.activeElement === this.#more;
    const keys = new Set(blocks.map(keyOf));
    for (const [key, { stop }] of this.#shown) {
      if (keys.has(key)) continue;
      stop();
      this.#shown.delete(key);
    }
    const items = blocks.map((block) => this.#itemOf(block));
    for (const item of [...this.#list.children]) if (!items.includes(/** @type {any} */ (item))) item.remove();
    items.forEach((item, index) => {
      const there = this.#list.children[index];
      if (there !== item) this.#list.insertBefore(item, there ?? null);
    });
    this.#none.hidden = blocks.length > 0;
    this.#more.hidden = !more;
    this.#count.textContent = blocks.length ? `(${blocks.length}${more ? "+" : ""})` : "";
    if (hadFocus && document.activeElement === document.body) this.#title.focus();
  }

  /** @param {Block} block */
  #itemOf(block) {
    const key = keyOf(block);
    const known = this.#shown.get(key);
    if (known) return known.item;
    const left = make("span", { class: "left" });
    const stop = countDown(Date.parse(block.expireTime), (ms) => {
      left.textContent = ms ? `${span(ms)} left` : "over";
    });
    const lift = make("button", { type: "button" }, "Lift");
    lift.append(make("span", { class: "visually-hidden" }, ` the block of ${named(block.offender)}`), "…");
    whenPressed(lift, () => this.#dialog.ask(block));
    const times = `${when(Date.parse(block.createTime))} until ${when(Date.parse(block.expireTime))}`;
    const item = make(
      "li",
      {},
      offenderOf(block.offender),
      make("span", { class: "why" }, make("span", { class: "reason" }, block.reason), " by ", make("span", {}, block.actor)),
      make("span", { class: "times" }, make("span", { class: "quiet" }, times), left),
      lift,
    );
    this.#shown.set(key, { item, stop });
    return item;
  }

  /**
   * @param {Block} block
   * @param {boolean} lifted
   */
  #lifted({ offender }, lifted) {
    const sentence = lifted
      ? `Lifted: ${named(offender)} may ask again.`
      : `There was no block of ${named(offender)} any more.`;
    this.#outcome.textContent = sentence;
    announce(sentence);
    this.#title.focus();
    this.#changed();
  }
}

/** @param {Block} block */
function keyOf(block) {
  return JSON.stringify(block);
}
