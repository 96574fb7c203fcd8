/** A talk with the model over a token: the controls, and what the socket says of it. */

import { now } from "../common/clock.js";
import { asClock, countDown } from "../common/countdown.js";
import { announce, facts, find, make, switchOff, whenPressed } from "../common/elements.js";
import { showClosing } from "./closing.js";
import { Conversation } from "./conversation.js";
import { EventLog } from "./event-log.js";
import { LiveListener, LiveSocket, liveAddress, setupOf } from "./live-socket.js";
import { BYTES_PER_SAMPLE, fromBase64, toBase64 } from "./pcm.js";
import { SpeakButton } from "./speak-button.js";
import { Speaker, rateOf } from "./speaker.js";

/**
 * @import {LiveToken} from "../live-token-client/index.js"
 * @import {Closing, Message, ServerMessage} from "./types.js"
 */

/** The part of the page where one talks. */
export class Talk extends LiveListener {
  /** @type {LiveToken | undefined} */
  #token;
  /** @type {LiveToken | undefined} */
  #inUse; // of the socket; one can get another token meanwhile
  /** @type {LiveSocket | undefined} */
  #socket;
  #setUp = false;
  #handle = "";
  #tokensUsed = "";
  #stopGoAway = () => {};

  #log = new EventLog(find("events", HTMLElement));
  #conversation = new Conversation(find("turns", HTMLElement));
  #connect = find("connect", HTMLButtonElement);
  #resume = find("resume", HTMLButtonElement);
  #composer = find("composer", HTMLFormElement);
  #words = find("words", HTMLInputElement);
  #silence = find("silence", HTMLButtonElement);
  #closing = find("closing", HTMLElement);
  #speaker = new Speaker((playing) => {
    this.#silence.hidden = !playing;
  });
  #voice = new SpeakButton({
    begun: () => {
      if (this.#socket) this.#conversation.speaks();
      return this.#socket !== undefined;
    },
    heard: (pcm, rate) => this.#socket?.hear(toBase64(pcm), rate),
    ended: (seconds) => {
      this.#conversation.spoke(seconds);
      this.#socket?.endOfSound();
    },
  });

  /** @param {string} liveUrl */
  constructor(liveUrl) {
    super();
    this.liveUrl = liveUrl;
    find("live-url", HTMLElement).textContent = liveUrl;
    whenPressed(this.#connect, () => (this.#socket ? this.#socket.close() : this.#open()));
    whenPressed(this.#resume, () => {
      this.#connect.focus();
      this.#open(this.#handle);
    });
    whenPressed(this.#silence, () => {
      this.#speaker.stop();
      this.#words.focus();
    });
    whenPressed(find("clear-events", HTMLButtonElement), () => this.#log.clear());
    this.#composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#show();
  }

  /**
   * Takes a new token to talk with; the talk under way has its own, and goes on.
   *
   * @param {LiveToken} token
   */
  take(token) {
    this.#token = token;
    if (!this.#socket) this.#handle = "";
    this.#show();
  }

  /** Hangs up, and forgets the token and all that was said. */
  forget() {
    this.#socket?.leave();
    this.#end();
    this.#token = undefined;
    this.#handle = this.#tokensUsed = "";
    this.#words.value = "";
    this.#conversation.clear();
    this.#log.clear();
    this.#closing.replaceChildren();
    this.#show();
  }

  /** @param {string} [handle] of the session to resume */
  #open(handle) {
    const token = this.#token;
    if (!token) return;
    this.#inUse = token;
    this.#speaker.prepare();
    this.#setUp = false;
    this.#closing.replaceChildren();
    const address = (/** @type {string} */ secret) => liveAddress(this.liveUrl, token.apiVersion, secret);
    this.#log.note("connecting", { to: address("…") });
    this.#socket = new LiveSocket(address(token.value), setupOf(token.constraints, handle), this);
    this.#show();
  }

  /** @override */
  opened() {
    this.#log.note("open");
    this.#show();
  }

  /**
   * @override
   * @param {Message} message
   */
  sent(message) {
    this.#log.add("sent", message);
  }

  /**
   * @override
   * @param {number} bytes
   */
  garbled(bytes) {
    this.#log.note("not JSON", { bytes }, "received");
  }

  /**
   * @override
   * @param {ServerMessage} message
   */
  received(message) {
    this.#log.add("received", message);
    const { serverContent, goAway, sessionResumptionUpdate: resumption, usageMetadata } = message;
    if (message.setupComplete) this.#begin();
    if (serverContent) this.#content(serverContent);
    if (resumption?.resumable && resumption.newHandle) this.#handle = resumption.newHandle;
    if (usageMetadata) {
      const { promptTokenCount = 0, responseTokenCount = 0 } = usageMetadata;
      this.#tokensUsed = `${promptTokenCount} in, ${responseTokenCount} out`;
    }
    if (goAway) this.#warn(parseFloat(goAway.timeLeft ?? "0"));
    if (resumption || usageMetadata) this.#showFacts();
  }

  /**
   * @override
   * @param {Closing} closing
   */
  closed(closing) {
    const { code, reason, ours } = closing;
    this.#log.note("close", { code, reason, by: ours ? "this page" : "the service" });
    this.#end();
    if (!ours) showClosing(this.#closing, closing, !this.#setUp);
    announce(ours ? "Disconnected." : `Closed with ${code}: ${reason || "no reason given"}`);
    if (this.#composer.contains(document.activeElement)) this.#connect.focus();
    this.#show();
  }

  #end() {
    this.#socket = undefined;
    if (this.#inUse !== this.#token) this.#handle = "";
    this.#inUse = undefined;
    this.#stopGoAway();
    this.#speaker.stop();
    this.#conversation.over();
    void this.#voice.stop();
  }

  #begin() {
    this.#setUp = true;
    this.#inUse?.markUsed();
    announce("Connected.");
    this.#show();
    if (document.activeElement === this.#connect) this.#words.focus();
  }

  /** @param {NonNullable<ServerMessage["serverContent"]>} content */
  #content(content) {
    const { modelTurn, inputTranscription, outputTranscription } = content;
    if (inputTranscription?.text) this.#conversation.heard(inputTranscription.text);
    for (const { text, inlineData, thought } of modelTurn?.parts ?? []) {
      if (text && !thought) this.#conversation.answered(text);
      if (inlineData?.mimeType.startsWith("audio/pcm")) {
        const rate = rateOf(inlineData.mimeType);
        const pcm = fromBase64(inlineData.data);
        this.#speaker.play(pcm, rate);
        this.#conversation.sounded(pcm.length / BYTES_PER_SAMPLE / rate);
      }
    }
    if (outputTranscription?.text) this.#conversation.answered(outputTranscription.text);
    if (content.interrupted) {
      this.#speaker.stop();
      this.#conversation.over("interrupted");
    }
    if (content.turnComplete) {
      const said = this.#conversation.over();
      if (said) announce(`The model: ${said}`);
    }
  }

  #say() {
    const text = this.#words.value.trim();
    if (!text || !this.#socket) return;
    this.#conversation.wrote(text);
    this.#socket.say(text);
    this.#words.value = "";
  }

  /** @param {number} seconds until the service ends the connection */
  #warn(seconds) {
    const notice = find("go-away", HTMLElement);
    this.#stopGoAway();
    announce(`The service ends this connection in ${Math.round(seconds)} seconds.`);
    const stop = countDown(now() + seconds * 1000, (left) => {
      notice.textContent = `The service ends this connection in ${asClock(left)}.`;
    });
    this.#stopGoAway = () => {
      stop();
      notice.textContent = "";
    };
  }

  #show() {
    const open = this.#socket?.open === true && this.#setUp;
    const label = this.#socket ? "Disconnect" : this.#token?.used ? "Try this token again" : "Connect";
    this.#connect.textContent = label;
    this.#connect.classList.toggle("primary", !this.#socket && this.#token?.used === false);
    switchOff(this.#connect, !this.#token && !this.#socket);
    this.#resume.hidden = !this.#token || !this.#handle || this.#socket !== undefined;
    this.#composer.hidden = !open;
    const state = find("state", HTMLElement);
    state.textContent = this.#state(open);
    state.classList.toggle("on", open);
    this.#showFacts();
  }

  /** @param {boolean} open */
  #state(open) {
    if (open) return "Connected";
    if (this.#socket) return this.#socket.open ? "Setting up…" : "Connecting…";
    if (!this.#token) return "No token yet";
    return this.#token.used ? "Closed" : "Ready";
  }

  #showFacts() {
    const handle = this.#handle && make("code", {}, `${this.#handle.slice(0, 12)}…`);
    find("session-facts", HTMLElement).replaceChildren(
      facts([
        ["Model tokens", this.#tokensUsed],
        ["Resumption", handle],
      ]),
    );
  }
}
