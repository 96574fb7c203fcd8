/** Puts the page together. */

import { CredentialForm } from "../common/credential-form.js";
import { announce, find, whenPressed } from "../common/elements.js";
import { showRefusal } from "../common/refusal.js";
import { Operations } from "./api.js";
import { Blocks } from "./blocks.js";
import { Health } from "./health.js";
import { Heard } from "./heard.js";
import { showLatency } from "./latency.js";
import { Known } from "./known.js";
import { Polling } from "./polling.js";
import { showRefusedClients } from "./refused-clients.js";
import { NO_LONGER_ACCEPTED, isRejection } from "./rejection.js";
import { StateLine } from "./state-line.js";
import { Traffic } from "./traffic.js";
import { Watching } from "./watching.js";
import { toTheSecond } from "./words.js";

/**
 * @import {Refused} from "../common/refused.js"
 * @import {Moment, State} from "./types.js"
 */

const SECOND_MS = 1_000;
const TABLE_MS = 10_000;

const refusalPlace = find("refusal", HTMLElement);
const form = find("introduction", HTMLFormElement);
const seen = find("seen", HTMLElement);
const note = find("another-process", HTMLElement);
let stopRefusal = () => {};

const operations = new Operations((refused) => {
  watching.end(); // it was let in before, and would go on until the service asks it to come again
  showState({ kind: "stopped", why: NO_LONGER_ACCEPTED }, refused);
});
const heard = new Heard();
const traffic = new Traffic(heard);
const health = new Health();
const stateLine = new StateLine();
const blocks = new Blocks(operations, () => polls.blocks.refresh());
const polls = {
  clients: new Polling(new Known("clients"), async () => {
    const { clients, since } = await operations.refused();
    return () => showRefusedClients(clients, since);
  }),
  blocks: new Polling(new Known("blocks"), () => blocks.ask()),
};
const watching = new Watching(operations, { state: showState, moment: showMoment });
const credentialForm = new CredentialForm({
  changed(credential) {
    forgetWhatWasSeen();
    operations.credential = credential;
  },
  async introduce() {
    await watching.begin();
    return () => credentialForm.empty();
  },
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (stateLine.kind !== "stopped") return;
  if (stateLine.mayGoOn || credentialForm.isFilled) again();
  else credentialForm.focus();
});
whenPressed(find("stop", HTMLButtonElement), () => {
  watching.end();
  showState({ kind: "stopped", why: "as you wished." });
});
whenPressed(find("again", HTMLButtonElement), again);
whenPressed(find("forget", HTMLButtonElement), () => {
  credentialForm.forget();
  announce("Forgotten: the credential, and what was shown.");
});
addEventListener("pagehide", () => credentialForm.forget()); // a browser may keep a page that is left
setInterval(() => traffic.redraw(), SECOND_MS);
setInterval(() => tableIsOpen() && traffic.tabulate(), TABLE_MS);
find("traffic-as-table", HTMLDetailsElement).addEventListener("toggle", () => traffic.tabulate());

showState({ kind: "idle" });

/**
 * @param {State} state
 * @param {Refused} [refused]
 */
function showState(state, refused) {
  const stopped = state.kind === "stopped" ? refused : undefined;
  const rejection = stopped && isRejection(stopped) ? stopped : undefined;
  if (rejection) reject(rejection);
  stateLine.show(state, !rejection);
  hideRefusal();
  if (refused && (stopped || refused.status)) stopRefusal = showRefusal(refusalPlace, refused);
  if (state.kind === "live") showWhatIsSeen();
  else for (const poll of Object.values(polls)) poll.stop();
  if (state.kind === "stopped" || (state.kind === "waiting" && !state.planned)) markAsOld(rejection);
  if (stopped) form.hidden = false;
}

/** @param {Refused} rejection */
function reject(rejection) {
  operations.isRejected(rejection);
  credentialForm.reject(rejection.message);
}

/** @param {Refused} [rejection] */
function markAsOld(rejection) {
  seen.classList.add("stale");
  for (const { known } of Object.values(polls)) {
    if (rejection) known.isDenied(rejection.message);
    else known.isOld();
  }
}

function showWhatIsSeen() {
  const hadFocus = form.contains(document.activeElement);
  form.hidden = true;
  seen.hidden = false;
  seen.classList.remove("stale");
  if (hadFocus) find("traffic-title", HTMLElement).focus();
  for (const poll of Object.values(polls)) poll.start();
}

/**
 * @param {Moment} moment
 * @param {number} connection
 */
function showMoment(moment, connection) {
  heard.add(moment, connection);
  if (health.show(moment)) note.textContent = `Since ${toTheSecond(Date.now())} it is another process than before.`;
  showLatency(moment.hops);
  traffic.redraw();
}

function again() {
  watching.begin().catch(() => {}); // it is shown already
}

function forgetWhatWasSeen() {
  watching.end();
  showState({ kind: "idle" });
  form.hidden = false;
  seen.hidden = true;
  traffic.clear();
  health.clear();
  note.textContent = "";
  showLatency([]);
  showRefusedClients([], "");
  blocks.clear();
  for (const poll of Object.values(polls)) poll.clear();
}

function hideRefusal() {
  stopRefusal();
  stopRefusal = () => {};
  refusalPlace.replaceChildren();
}

function tableIsOpen() {
  return find("traffic-as-table", HTMLDetailsElement).open;
}
