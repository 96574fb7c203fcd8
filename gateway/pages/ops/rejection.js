/** A credential that the service does not take, and what to say of one that it took before. */

/** @import {Refused} from "../common/refused.js" */

export const NO_LONGER_ACCEPTED = "The credential is not accepted any more. Enter another to go on.";

/**
 * Returns whether it is the credential that is refused: only another one helps.
 *
 * @param {Refused} refused
 * @returns {boolean}
 */
export function isRejection({ status, code }) {
  if (code.endsWith("_BLOCKED")) return false; // with another it would be the same
  return [401, 403].includes(status) || ["UNAUTHENTICATED", "PERMISSION_DENIED"].includes(code);
}
