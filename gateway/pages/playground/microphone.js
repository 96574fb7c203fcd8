/** The visitor's microphone, as the Live API wants to hear it: 16 kHz. */

export const RATE = 16_000;
const PIECE_SECONDS = 0.1;

/** Why a browser has no microphone for this page; "" if it may have one. */
export function whyNone() {
  if (!isSecureContext) return "A microphone needs HTTPS, or a page of this machine.";
  if (!navigator.mediaDevices?.getUserMedia) return "This browser has no microphone to offer.";
  return "";
}

/** Hears, from `start` to `stop`. The browser asks for permission at the first start. */
export class Microphone {
  /** @type {MediaStream | undefined} */
  #stream;
  /** @type {AudioContext | undefined} */
  #context;
  /** @type {AudioWorkletNode | undefined} */
  #node;
  #done = () => {};

  /** @param {(pcm: Uint8Array) => void} heard */
  constructor(heard) {
    this.heard = heard;
  }

  /**
   * @returns {Promise<void>}
   * @throws {DOMException} the visitor, or the system, says no
   */
  async start() {
    this.#stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
    });
    try {
      await this.#connect(this.#stream);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Hands over what is still unsaid, and lets the microphone go. */
  async stop() {
    if (this.#node) await this.#rest(this.#node);
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#node?.disconnect();
    await this.#context?.close();
    this.#stream = this.#context = this.#node = undefined;
  }

  /** @param {MediaStream} stream */
  async #connect(stream) {
    const context = (this.#context = new AudioContext());
    await context.audioWorklet.addModule(new URL("microphone-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "microphone", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate: RATE, pieceSeconds: PIECE_SECONDS },
    });
    node.port.onmessage = ({ data }) => this.#hand(data);
    context.createMediaStreamSource(stream).connect(node);
    await context.resume(); // some browsers begin in silence
    this.#node = node;
  }

  /** @param {{pcm: ArrayBuffer, last: boolean}} piece */
  #hand({ pcm, last }) {
    if (pcm.byteLength > 0) this.heard(new Uint8Array(pcm));
    if (last) this.#done();
  }

  /** @param {AudioWorkletNode} node */
  #rest(node) {
    return new Promise((resolve) => {
      this.#done = () => resolve(undefined);
      node.port.postMessage("hand over");
    });
  }
}
