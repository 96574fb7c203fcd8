/** The text of an event stream (HTML, 9.2.6), taken apart. EventSource cannot send a credential. */

/** @typedef {{ event: string, data: string }} StreamEvent */

/**
 * Yields the events of a body as they come; one that the end cuts off is none.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} heard is called for all that arrives, be it no event
 * @returns {AsyncGenerator<StreamEvent>}
 */
export async function* eventsOf(body, heard) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new Parser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      yield* parser.take(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => {}); // it may be broken already
  }
}

class Parser {
  #rest = "";
  #event = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text
   * @returns {Generator<StreamEvent>}
   */
  *take(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line) {
        this.#field(line);
        continue;
      }
      if (this.#data.length > 0) {
        yield { event: this.#event || "message", data: this.#data.join("\n") };
      }
      this.#event = "";
      this.#data = [];
    }
  }

  /** @param {string} line */
  #field(line) {
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === "data") this.#data.push(value ?? "");
    if (name === "event") this.#event = value ?? "";
  }
}
