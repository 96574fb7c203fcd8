/** Plays what the model says, piece after piece without a gap. */

import { fromPcm } from "./pcm.js";

/** A queue of sound. `changed` is told when it begins to play, and when it falls silent. */
export class Speaker {
  /** @type {AudioContext | undefined} */
  #context;
  /** @type {Set<AudioBufferSourceNode>} */
  #queue = new Set();
  #end = 0; // of what is queued, by the context's clock

  /** @param {(playing: boolean) => void} changed */
  constructor(changed) {
    this.changed = changed;
  }

  /** Prepares to play. Browsers allow that only where a visitor has just pressed something. */
  prepare() {
    this.#context ??= new AudioContext();
    void this.#context.resume();
  }

  /**
   * Queues 16-bit PCM; half a sample at the end is dropped.
   *
   * @param {Uint8Array} pcm
   * @param {number} rate in samples per second
   */
  play(pcm, rate) {
    const samples = fromPcm(pcm);
    if (!this.#context || samples.length === 0) return;
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.addEventListener("ended", () => this.#ended(source));
    this.#end = Math.max(this.#end, this.#context.currentTime);
    source.start(this.#end);
    this.#end += buffer.duration;
    this.#queue.add(source);
    if (this.#queue.size === 1) this.changed(true);
  }

  /** Falls silent, and forgets what is queued. */
  stop() {
    for (const source of this.#queue) source.stop();
    this.#end = 0;
  }

  /** @param {AudioBufferSourceNode} source */
  #ended(source) {
    this.#queue.delete(source);
    if (this.#queue.size === 0) this.changed(false);
  }
}

/**
 * Returns the rate that a type such as `audio/pcm;rate=24000` names.
 *
 * @param {string} mimeType
 * @returns {number}
 */
export function rateOf(mimeType) {
  return Number(/rate=(\d+)/.exec(mimeType)?.[1] ?? 24_000);
}
