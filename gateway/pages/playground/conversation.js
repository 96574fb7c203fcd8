/** Who said what, turn by turn. */

import { make } from "../common/elements.js";

const SPEAKING = "speaking…";

/** @typedef {{item: HTMLElement, said: HTMLElement, note: HTMLElement}} Turn */

/** The turns of a session, shown in a list. */
export class Conversation {
  /** @type {Turn | undefined} */
  #you;
  /** @type {Turn | undefined} */
  #model;
  #soundSeconds = 0;

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
  }

  /**
   * The visitor wrote something.
   *
   * @param {string} text
   */
  wrote(text) {
    this.#begin("You", "you").said.textContent = text;
  }

  /** The visitor begins to speak. */
  speaks() {
    this.#you = this.#begin("You", "you");
    this.#you.note.textContent = SPEAKING;
  }

  /**
   * The visitor has spoken.
   *
   * @param {number} seconds
   */
  spoke(seconds) {
    if (this.#you) this.#you.note.textContent = `${seconds.toFixed(1)} s of sound`;
  }

  /**
   * The service wrote down what the visitor says; it may be late with it.
   *
   * @param {string} text
   */
  heard(text) {
    this.#you ??= this.#begin("You", "you", this.#model?.item);
    this.#you.said.append(text);
    this.#toEnd();
  }

  /**
   * The model says more.
   *
   * @param {string} text
   */
  answered(text) {
    this.#answer.said.append(text);
    this.#toEnd();
  }

  /**
   * The model is heard for longer.
   *
   * @param {number} seconds
   */
  sounded(seconds) {
    this.#soundSeconds += seconds;
    this.#answer.note.textContent = `${this.#soundSeconds.toFixed(1)} s of sound`;
  }

  /**
   * The model's turn is over. Returns what it said.
   *
   * @param {string} [how] if not as usual
   * @returns {string}
   */
  over(how) {
    const model = this.#model;
    if (model && how) model.note.textContent = how;
    if (this.#you?.note.textContent === SPEAKING) this.#unspoken(this.#you);
    this.#you = this.#model = undefined;
    this.#soundSeconds = 0;
    return model?.said.textContent ?? "";
  }

  clear() {
    this.over();
    this.list.replaceChildren();
  }

  /**
   * Of a turn that ends while its microphone is on there may be nothing to show.
   *
   * @param {Turn} turn
   */
  #unspoken({ item, said, note }) {
    note.textContent = "";
    if (!said.textContent) item.remove();
  }

  get #answer() {
    return (this.#model ??= this.#begin("Model", "model"));
  }

  /**
   * @param {string} who
   * @param {string} kind
   * @param {Node | null} [before]
   * @returns {Turn}
   */
  #begin(who, kind, before = null) {
    const said = make("p", { class: "said" });
    const note = make("p", { class: "note" });
    const item = make("li", { class: `turn ${kind}` }, make("p", { class: "who" }, who), said, note);
    this.list.insertBefore(item, before);
    this.#toEnd();
    return { item, said, note };
  }

  #toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
