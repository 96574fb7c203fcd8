/** Puts the page together. */

import { CredentialForm } from "../common/credential-form.js";
import { announce, find, whenPressed } from "../common/elements.js";
import { showRefusal } from "../common/refusal.js";
import { Operations } from "./api.js";
import { Blocks } from "./blocks.js";
import { Health } from "./health.js";
import { Heard } from "./heard.js";
import { showLatency } from "./latency.js";
import { Polling } from "./polling.js";
import { showRefusedClients } from "./refused-clients.js";
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

const operations = new Operations();
const heard = new Heard();
const traffic = new Traffic(heard);
const health = new Health();
const stateLine = new StateLine();
const blocks = new Blocks(operations, () => polls.blocks.start());
const polls = {
  clients: new Polling(find("clients-refusal", HTMLElement), async () => {
    const { clients, since } = await operations.refused();
    return () => showRefusedClients(clients, since);
  }),
  blocks: new Polling(find("blocks-refusal", HTMLElement), () => blocks.ask()),
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
  if (stateLine.kind === "stopped") again();
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
  stateLine.show(state);
  hideRefusal();
  const live = state.kind === "live";
  seen.classList.toggle("stale", !live);
  if (refused && (state.kind === "stopped" || refused.status)) {
    stopRefusal = showRefusal(refusalPlace, refused);
  }
  if (live) showWhatIsSeen();
  else for (const poll of Object.values(polls)) poll.stop();
  if (state.kind === "stopped" && refused) form.hidden = false;
}

function showWhatIsSeen() {
  const hadFocus = form.contains(document.activeElement);
  form.hidden = true;
  seen.hidden = false;
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
