/** Sound as the Live API has it: 16-bit little-endian PCM, mono, in base64. */

export const BYTES_PER_SAMPLE = 2;
const LOUDEST = 0x7fff;
const PIECE = 0x8000; // arguments of one call have a limit

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function toBase64(bytes) {
  let binary = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    binary += String.fromCharCode(...bytes.subarray(start, start + PIECE));
  }
  return btoa(binary);
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * Returns how many bytes a base64 text stands for.
 *
 * @param {string} text
 * @returns {number}
 */
export function sizeOf(text) {
  return Math.floor((text.replace(/=+$/, "").length * 3) / 4);
}

/**
 * @param {Float32Array} samples from -1 to 1; louder ones are clipped
 * @returns {ArrayBuffer}
 */
export function toPcm(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * BYTES_PER_SAMPLE));
  samples.forEach((sample, index) => {
    view.setInt16(index * BYTES_PER_SAMPLE, Math.round(Math.max(-1, Math.min(1, sample)) * LOUDEST), true);
  });
  return view.buffer;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Float32Array<ArrayBuffer>}
 */
export function fromPcm(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = new Float32Array(Math.floor(bytes.byteLength / BYTES_PER_SAMPLE));
  for (let index = 0; index < samples.length; index++) {
    samples[index] = view.getInt16(index * BYTES_PER_SAMPLE, true) / (LOUDEST + 1);
  }
  return samples;
}

/** Turns sound of one rate into sound of a lower one: each sample is the mean of its span. */
export class Resampler {
  #span;
  #sum = 0;
  #filled = 0;

  /**
   * @param {number} from in samples per second
   * @param {number} to at most `from`
   */
  constructor(from, to) {
    this.#span = from / to;
  }

  /**
   * Takes the next samples, and returns those that are complete with them.
   *
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  push(samples) {
    const done = [];
    for (const sample of samples) {
      let left = 1; // of this sample; it may belong to two spans
      while (left > 0) {
        const share = Math.min(left, this.#span - this.#filled);
        this.#sum += sample * share;
        this.#filled += share;
        left -= share;
        if (this.#filled < this.#span - 1e-9) continue;
        done.push(this.#sum / this.#span);
        this.#sum = this.#filled = 0;
      }
    }
    return Float32Array.from(done);
  }
}
