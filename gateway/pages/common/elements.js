/** The page's elements: found by their id, and made without any HTML in strings. */

/**
 * Returns the element of that id, which has to be of that kind.
 *
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function find(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/**
 * Makes an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Makes a list of terms, each with what is said of it; what is empty is left out.
 *
 * @param {[term: string, description: Node | string | undefined][]} entries
 * @returns {HTMLDListElement}
 */
export function facts(entries) {
  const list = make("dl", { class: "facts" });
  for (const [term, description] of entries) {
    if (description) list.append(make("div", {}, make("dt", {}, term), make("dd", {}, description)));
  }
  return list;
}

/**
 * Says something to who listens to the page instead of looking at it.
 *
 * @param {string} sentence
 */
export function announce(sentence) {
  find("announcer", HTMLElement).textContent = sentence;
}

/**
 * Switches a button off without taking the focus from it.
 *
 * @param {HTMLButtonElement} button
 * @param {boolean} off
 */
export function switchOff(button, off) {
  button.setAttribute("aria-disabled", String(off));
}

/**
 * Does something when a button is pressed, unless it is switched off.
 *
 * @param {HTMLButtonElement} button
 * @param {() => void} act
 */
export function whenPressed(button, act) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") act();
  });
}
