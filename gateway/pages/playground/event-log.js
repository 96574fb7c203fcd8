/** Everything that goes over the socket, as it happens; sound by its size alone. */

import { make } from "../common/elements.js";
import { sizeOf } from "./pcm.js";

const MOST = 300;
const ARROWS = { sent: "→", received: "←", here: "·" };

/** @typedef {keyof typeof ARROWS} Direction */

/** A list of entries, the newest last; the oldest go. */
export class EventLog {
  /** @type {{kind: string, times: number, bytes: number, line: HTMLElement} | undefined} */
  #sound; // the entry that further pieces of the same sound are counted in

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
  }

  /**
   * Adds what was sent or received.
   *
   * @param {Direction} direction
   * @param {object} message
   */
  add(direction, message) {
    const { shown, bytes } = withoutSound(message);
    const { kind, inner } = named(shown);
    if (direction === "sent" && bytes > 0 && this.#counted(kind, bytes)) return;
    const line = this.#append(direction, kind, inner, shown);
    this.#sound = direction === "sent" && bytes ? { kind, times: 1, bytes, line } : undefined;
  }

  /**
   * Adds what happened here, or to the connection.
   *
   * @param {string} kind
   * @param {object} [more]
   * @param {Direction} [direction]
   */
  note(kind, more, direction = "here") {
    this.#sound = undefined;
    this.#append(direction, kind, more);
  }

  clear() {
    this.#sound = undefined;
    this.list.replaceChildren();
  }

  /**
   * A microphone sends ten times a second: one entry has them all.
   *
   * @param {string} kind
   * @param {number} bytes
   */
  #counted(kind, bytes) {
    const sound = this.#sound;
    if (sound?.kind !== kind) return false;
    sound.times += 1;
    sound.bytes += bytes;
    sound.line.textContent = `${sound.times} messages, ${grouped(sound.bytes)} bytes of sound`;
    return true;
  }

  /**
   * @param {Direction} direction
   * @param {string} kind
   * @param {unknown} [content] in a line
   * @param {object} [whole] when that is opened
   */
  #append(direction, kind, content, whole = /** @type {object} */ (content)) {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    const line = make("span", { class: "line" }, content ? JSON.stringify(content) : "");
    const head = [
      make("span", { class: "time" }, timeNow()),
      make("span", { class: "arrow", "aria-hidden": "true" }, ARROWS[direction]),
      make("span", { class: "visually-hidden" }, direction),
      make("span", { class: "kind" }, kind),
      line,
    ];
    const entry = make("li", { class: direction });
    entry.append(content ? expandable(head, whole) : make("div", { class: "entry" }, ...head));
    this.list.append(entry);
    while (this.list.childElementCount > MOST) this.list.firstElementChild?.remove();
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
    return line;
  }
}

/**
 * @param {Node[]} head
 * @param {object} content
 */
function expandable(head, content) {
  const details = make("details", {}, make("summary", { class: "entry" }, ...head));
  details.addEventListener(
    "toggle",
    () => details.append(make("pre", { tabindex: "0" }, JSON.stringify(content, null, 2))),
    { once: true },
  );
  return details;
}

/**
 * Returns a message with the size of each sound in its place, and their sum.
 *
 * @param {object} message
 * @returns {{shown: object, bytes: number}}
 */
export function withoutSound(message) {
  let bytes = 0;
  const text = JSON.stringify(message, (_, value) => {
    if (typeof value?.mimeType !== "string" || typeof value.data !== "string") return value;
    const size = sizeOf(value.data);
    bytes += size;
    return { ...value, data: `[${grouped(size)} bytes]` };
  });
  return { shown: JSON.parse(text), bytes };
}

/**
 * Names a message by what is in it, such as `serverContent.turnComplete`. What is inside
 * that is shown beside it; the whole message, where it has several things in it.
 *
 * @param {object} message
 * @returns {{kind: string, inner: unknown}}
 */
function named(message) {
  const parts = Object.entries(message).map(([name, content]) => {
    const [only, ...more] = isObject(content) ? Object.entries(content) : [];
    if (name === "setup" || !only || more.length > 0) return { kind: name, inner: content };
    return { kind: `${name}.${only[0]}`, inner: only[1] };
  });
  const kind = parts.map((part) => part.kind).join(" + ");
  return { kind, inner: parts.length === 1 ? parts[0]?.inner : message };
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function timeNow() {
  return new Date().toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  });
}

/** @param {number} number */
function grouped(number) {
  return number.toLocaleString("en-GB");
}
