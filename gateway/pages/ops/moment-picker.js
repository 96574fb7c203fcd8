/** Reading the picture at one moment: by pointing at it, or with the arrow keys. */

import { reading } from "./reading.js";
import { toTheSecond } from "./words.js";

/**
 * @import {Heard} from "./heard.js"
 * @import {Sample} from "./types.js"
 */

const PAGE = 30; // samples

/** The moment that is read. It stays what it was while time goes on. */
export class MomentPicker {
  #place;
  #given;
  /** @type {Sample | undefined} */
  #chosen;

  /**
   * @param {HTMLElement} place
   * @param {object} given
   * @param {Heard} given.heard
   * @param {(pixels: number) => number} given.when from the left edge
   * @param {(sample: Sample | undefined) => void} given.read
   * @param {() => void} given.picked
   */
  constructor(place, given) {
    this.#place = place;
    this.#given = given;
    place.addEventListener("keydown", (event) => this.#key(event));
    place.addEventListener("blur", () => this.follow());
    place.addEventListener("pointermove", (event) => this.#point(event));
    place.addEventListener("pointerdown", (event) => this.#point(event));
    place.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType === "mouse" && document.activeElement !== place) this.follow();
    });
    this.follow();
  }

  /**
   * What is read, unless it is over by now.
   *
   * @returns {Sample | undefined}
   */
  get chosen() {
    if (this.#chosen && !this.#given.heard.samples.includes(this.#chosen)) this.follow();
    return this.#chosen;
  }

  /** Reads no moment in particular. */
  follow() {
    this.#choose(undefined);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { left } = this.#place.getBoundingClientRect();
    this.#choose(this.#given.heard.at(this.#given.when(event.clientX - left)));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { samples } = this.#given.heard;
    const last = samples.length - 1;
    const here = this.#chosen ? samples.indexOf(this.#chosen) : last + 1;
    const there = new Map([
      ["ArrowLeft", here - 1],
      ["ArrowDown", here - 1],
      ["ArrowRight", here + 1],
      ["ArrowUp", here + 1],
      ["PageDown", here - PAGE],
      ["PageUp", here + PAGE],
      ["Home", 0],
      ["End", last],
      ["Escape", last + 1],
    ]).get(event.key);
    if (there === undefined) return;
    event.preventDefault();
    this.#choose(samples[event.key === "Escape" ? there : Math.min(last, Math.max(0, there))]);
  }

  /** @param {Sample | undefined} sample */
  #choose(sample) {
    this.#chosen = sample;
    // Not while time goes on: who listens would hear it each second.
    const seconds = sample ? Math.round((sample.end - Date.now()) / 1000) : 0;
    this.#place.setAttribute("aria-valuenow", String(Math.min(0, seconds)));
    this.#place.setAttribute("aria-valuetext", sample ? `${toTheSecond(sample.end)}: ${reading(sample)}` : "now");
    this.#given.read(sample);
    this.#given.picked();
  }
}
