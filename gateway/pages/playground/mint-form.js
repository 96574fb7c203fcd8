/** What to lock the token to. Nothing is checked here: the gateway's word shall be seen. */

import { now, timeOfDay } from "../common/clock.js";
import { asClock, countDown } from "../common/countdown.js";
import { find, make, switchOff } from "../common/elements.js";
import { Refused } from "../common/refused.js";

/** @import {Config, TokenFields} from "../live-token-client/index.js" */

const INSTRUCTION_HINT = "At most 1000 characters; the service's own if empty.";

/** The form that a token is asked for with. */
export class MintForm {
  #form = find("mint", HTMLFormElement);
  #button = find("get-token", HTMLButtonElement);
  #wait = find("wait", HTMLElement);
  #modelName = find("model-name", HTMLInputElement);
  #model = find("model", HTMLSelectElement);
  #duration = find("duration", HTMLInputElement);
  #instruction = find("instruction", HTMLTextAreaElement);
  #durationHint = find("duration-hint", HTMLElement);
  #instructionHint = find("instruction-hint", HTMLElement);
  #temperature = find("temperature", HTMLInputElement);
  #stopWait = () => {};
  #busy = false;

  /** @param {(fields: TokenFields) => Promise<void>} ask */
  constructor(ask) {
    this.#form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (this.#busy || this.#button.getAttribute("aria-disabled") === "true") return;
      this.#busy = true;
      this.#button.textContent = "Asking…";
      this.#markWrong([]);
      try {
        await ask(this.fields);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.#markWrong(error.wrongFields);
        if (error.retryAfter) this.waitUntil(now() + error.retryAfter * 1000);
      } finally {
        this.#busy = false;
        this.#button.textContent = "Get a token";
      }
    });
  }

  /**
   * What is asked for; what is empty is left out.
   *
   * @returns {TokenFields}
   */
  get fields() {
    const modality = new FormData(this.#form).get("modality");
    const all = {
      model: this.#model.hidden ? this.#modelName.value.trim() : this.#model.value,
      responseModality: /** @type {TokenFields["responseModality"]} */ (modality),
      duration: number(this.#duration),
      systemInstruction: this.#instruction.disabled ? "" : this.#instruction.value,
      temperature: number(this.#temperature),
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== "" && value != null));
  }

  /**
   * Offers what may be asked for.
   *
   * @param {Config} config
   */
  offer(config) {
    const { defaultModel, allowedModels, modelAliases } = config;
    const models = allowedModels.map((name) => option(name, name));
    const aliases = Object.entries(modelAliases).map(([name, model]) => option(name, `${name} → ${model}`));
    this.#model.replaceChildren(
      make("optgroup", { label: "Models" }, ...models),
      ...(aliases.length > 0 ? [make("optgroup", { label: "Aliases" }, ...aliases)] : []),
    );
    this.#model.value = defaultModel;
    this.#choose(true);
    const { tokenDurationMinutes: usual, maxTokenDurationMinutes: most } = config;
    this.#duration.max = String(most);
    this.#duration.placeholder = String(usual);
    this.#durationHint.textContent = `Minutes, 1 to ${most}; ${usual} if empty.`;
    this.#instruction.disabled = !config.customInstructionsAllowed;
    this.#instructionHint.textContent = config.customInstructionsAllowed
      ? INSTRUCTION_HINT
      : "Custom instructions are switched off here, so the service's own is locked.";
  }

  /** Offers nothing in particular, as nobody is known. */
  offerAnything() {
    this.waitUntil(0);
    this.#choose(false);
    this.#model.replaceChildren();
    this.#markWrong([]);
    this.#duration.removeAttribute("max");
    this.#duration.placeholder = "the default";
    this.#durationHint.textContent = "Whole minutes.";
    this.#instruction.disabled = false;
    this.#instructionHint.textContent = INSTRUCTION_HINT;
  }

  /** Empties every field. */
  forget() {
    this.#form.reset();
    this.offerAnything();
  }

  /**
   * Lets nobody ask before a moment.
   *
   * @param {number} moment in milliseconds since 1970
   */
  waitUntil(moment) {
    this.#stopWait();
    this.#stopWait = countDown(
      moment,
      (left) => {
        switchOff(this.#button, left > 0);
        const when = `Allowed again in ${asClock(left)}, at ${timeOfDay(moment)}.`;
        this.#wait.textContent = left ? when : "";
      },
    );
  }

  /** @param {boolean} fromList whether there is a list to choose the model from */
  #choose(fromList) {
    const [shown, hidden] = fromList ? [this.#model, this.#modelName] : [this.#modelName, this.#model];
    const focused = document.activeElement === hidden;
    shown.hidden = false;
    hidden.hidden = true;
    if (focused) shown.focus(); // it was on its way through the form
    find("model-label", HTMLLabelElement).htmlFor = shown.id;
  }

  /** @param {{field: string, description: string}[]} violations */
  #markWrong(violations) {
    for (const error of this.#form.querySelectorAll("[data-field]")) {
      const name = error.getAttribute("data-field");
      const violation = violations.find(({ field }) => field === name);
      error.textContent = violation?.description ?? "";
      const inputs = this.#form.querySelectorAll(`[aria-describedby~="${error.id}"]`);
      inputs.forEach((input) => input.setAttribute("aria-invalid", String(Boolean(violation))));
    }
  }
}

/**
 * @param {string} value
 * @param {string} label
 */
function option(value, label) {
  return make("option", { value }, label);
}

/** @param {HTMLInputElement} input */
function number({ value }) {
  return value === "" ? undefined : Number(value);
}
