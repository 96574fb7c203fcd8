/** What `@google/genai` does when it connects, in its older and its newer ways. */

import { EventEmitter } from "node:events";

/** The class, and what its one socket went through: `socket` has what a server can do to it. */
export function fakeSdk({ rejects = false } = {}) {
  const seen = { socket: undefined, options: undefined, params: undefined, closed: false };
  class GoogleGenAI {
    constructor(options) {
      seen.options = options;
    }

    live = {
      connect(params) {
        seen.params = params;
        const socket = (seen.socket = new EventEmitter());
        return new Promise((resolve, reject) => {
          const { callbacks } = params;
          socket.on("open", () => callbacks.onopen?.());
          socket.on("message", (message) => {
            if (message.setupComplete) resolve({ close: () => (seen.closed = true) });
            else callbacks.onmessage(message);
          });
          // Before 3 nothing rejects the promise; since then, the first event does.
          for (const event of ["failed", "close"]) {
            socket.on(event, (what) => {
              (event === "close" ? callbacks.onclose : callbacks.onerror)?.(what);
              if (rejects) reject(new Error(`Live connection ${event} before setup completed`));
            });
          }
        });
      },
    };
  }
  return { GoogleGenAI, seen };
}
