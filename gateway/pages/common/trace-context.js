/** W3C Trace Context: the page begins the trace of each request, and so knows its id. */

/**
 * Returns a new trace's id and the `traceparent` that begins it, sampled.
 *
 * @returns {{traceId: string, traceparent: string}}
 */
export function newTrace() {
  const traceId = randomHex(16);
  return { traceId, traceparent: `00-${traceId}-${randomHex(8)}-01` };
}

/**
 * @param {number} size in bytes
 * @returns {string}
 */
function randomHex(size) {
  const bytes = crypto.getRandomValues(new Uint8Array(size));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
