/** Puts the page together. */

import { CredentialForm } from "../common/credential-form.js";
import { announce, find, make, whenPressed } from "../common/elements.js";
import { showRefusal } from "../common/refusal.js";
import { Refused } from "../common/refused.js";
import { Api, places } from "./api.js";
import { MintForm } from "./mint-form.js";
import { hideQuota, showQuota } from "./quota.js";
import { Talk } from "./talk.js";
import { showToken } from "./token-card.js";

/** @import {TokenFields} from "../live-token-client/index.js" */

const NO_TOKEN = "None yet. What it is locked to, and how long it lasts, is shown here.";

const tokenPlace = find("token", HTMLElement);
const refusalPlace = find("refusal", HTMLElement);
let stopToken = () => {};
let stopRefusal = () => {};

const { liveUrl } = await places().catch((error) => {
  refusalPlace.append(make("p", { class: "refusal" }, "The gateway did not answer. Reload the page."));
  throw error;
});
const api = new Api();
const talk = new Talk(liveUrl);
const mintForm = new MintForm(mint);
const credentialForm = new CredentialForm({
  changed(credential) {
    api.credential = credential;
    hideRefusal();
    mintForm.offerAnything();
    hideQuota();
  },
  async introduce() {
    const config = await api.config();
    const usage = await api.usage();
    return () => {
      mintForm.offer(config);
      showQuota(usage);
    };
  },
});

whenPressed(find("forget", HTMLButtonElement), () => {
  forget();
  announce("Forgotten: the credential, the token, and what was said.");
});
addEventListener("pagehide", forget); // a browser may keep a page that is left

showNothing();

/** @param {TokenFields} fields */
async function mint(fields) {
  try {
    const { token, trail } = await api.mint(fields);
    hideRefusal();
    stopToken();
    stopToken = showToken(tokenPlace, token, trail);
    showQuota(token.usage);
    talk.take(token);
    announce("You have a token. Connect to talk with the model.");
  } catch (error) {
    if (error instanceof Refused) {
      hideRefusal();
      stopRefusal = showRefusal(refusalPlace, error);
      announce(`Refused: ${error.message}`);
    }
    throw error;
  } finally {
    find("token-title", HTMLElement).scrollIntoView({ block: "nearest" });
  }
}

function forget() {
  credentialForm.forget();
  mintForm.forget();
  talk.forget();
  showNothing();
}

function showNothing() {
  stopToken();
  tokenPlace.replaceChildren(make("p", { class: "empty" }, NO_TOKEN));
  hideRefusal();
}

function hideRefusal() {
  stopRefusal();
  refusalPlace.replaceChildren();
}
