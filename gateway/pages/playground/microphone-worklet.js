/** Runs beside the page, where the sound is: hands it on in pieces, as the Live API wants it. */

import { Resampler, toPcm } from "./pcm.js";

class Microphone extends AudioWorkletProcessor {
  #resampler;
  #piece;
  /** @type {number[]} */
  #heard = [];

  /** @param {{processorOptions: {rate: number, pieceSeconds: number}}} options */
  constructor({ processorOptions: { rate, pieceSeconds } }) {
    super();
    this.#resampler = new Resampler(sampleRate, rate);
    this.#piece = Math.round(rate * pieceSeconds);
    this.port.onmessage = () => this.#hand(true); // the page is about to switch it off
  }

  /**
   * @param {Float32Array[][]} inputs
   * @returns {boolean}
   */
  process([channels]) {
    const samples = channels?.[0];
    if (samples) this.#heard.push(...this.#resampler.push(samples));
    if (this.#heard.length >= this.#piece) this.#hand();
    return true;
  }

  #hand(last = false) {
    const pcm = toPcm(Float32Array.from(this.#heard));
    this.#heard = [];
    this.port.postMessage({ pcm, last }, [pcm]);
  }
}

registerProcessor("microphone", Microphone);
