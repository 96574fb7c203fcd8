/** The Live API's WebSocket, opened with an ephemeral token straight from the browser. */

/**
 * @import {TokenConstraints} from "../live-token-client/index.js"
 * @import {Closing, Message, ServerMessage} from "./types.js"
 */

/** What the socket tells, as it happens; both directions of it. */
export class LiveListener {
  opened() {}

  /** @param {Message} _message */
  sent(_message) {}

  /** @param {ServerMessage} _message */
  received(_message) {}

  /**
   * A frame that is no message.
   *
   * @param {number} _bytes its size
   */
  garbled(_bytes) {}

  /** @param {Closing} _closing */
  closed(_closing) {}
}

/**
 * Returns the address that Google's SDKs use: a token opens the constrained method, and
 * is a parameter, as a browser cannot send headers with a WebSocket.
 *
 * @param {string} liveUrl
 * @param {string} apiVersion
 * @param {string} token
 * @returns {string}
 */
export function liveAddress(liveUrl, apiVersion, token) {
  const method = "GenerativeService.BidiGenerateContentConstrained";
  const path = `/ws/google.ai.generativelanguage.${apiVersion}.${method}`;
  const parameter = encodeURIComponent(token).replaceAll("%2F", "/"); // SDKs leave the slash
  return `${liveUrl.replace(/\/+$/, "")}${path}?access_token=${parameter}`;
}

/**
 * Returns the setup that asks for what the token is locked to. The service puts the
 * token's own in its place, so it need not be complete.
 *
 * @param {TokenConstraints} constraints
 * @param {string} [handle] of a session to resume
 * @returns {Message}
 */
export function setupOf(constraints, handle) {
  return {
    model: `models/${constraints.model}`,
    generationConfig: { responseModalities: [constraints.responseModality] },
    ...(handle ? { sessionResumption: { handle } } : {}),
  };
}

/** One session. It is set up once the socket is open, and tells its listener everything. */
export class LiveSocket {
  #socket;
  #listener;
  #ours = false;

  /**
   * @param {string} address
   * @param {Message} setup
   * @param {LiveListener} listener
   */
  constructor(address, setup, listener) {
    this.#listener = listener;
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "arraybuffer"; // the service sends its JSON in binary frames
    this.#socket.addEventListener("open", () => {
      this.#listener.opened();
      this.send({ setup });
    });
    this.#socket.addEventListener("message", ({ data }) => this.#receive(data));
    this.#socket.addEventListener("close", ({ code, reason }) => {
      this.#listener.closed({ code, reason, ours: this.#ours });
    });
  }

  /** Whether messages can be sent. */
  get open() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** @param {Message} message */
  send(message) {
    if (!this.open) return;
    this.#socket.send(JSON.stringify(message));
    this.#listener.sent(message);
  }

  /**
   * Says something in writing. As realtime input: newer models take `clientContent`
   * only as the history of a session, and close the socket on any other.
   *
   * @param {string} text
   */
  say(text) {
    this.send({ realtimeInput: { text } });
  }

  /**
   * Sends what the microphone heard.
   *
   * @param {string} data 16-bit PCM, mono, in base64
   * @param {number} rate in samples per second
   */
  hear(data, rate) {
    this.send({ realtimeInput: { audio: { mimeType: `audio/pcm;rate=${rate}`, data } } });
  }

  /** Says that the microphone is off. */
  endOfSound() {
    this.send({ realtimeInput: { audioStreamEnd: true } });
  }

  /** Hangs up. */
  close() {
    this.#ours = true;
    this.#socket.close(1000);
  }

  /** Hangs up, and tells nothing more. */
  leave() {
    this.#listener = new LiveListener();
    this.close();
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      this.#listener.garbled(text.length);
      return;
    }
    this.#listener.received(message);
  }
}
