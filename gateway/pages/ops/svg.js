/** Pictures, made without any markup in strings. */

const NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * Makes an element of a picture.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function draw(tag, attributes = {}, ...children) {
  const drawn = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) drawn.setAttribute(name, String(value));
  drawn.append(...children);
  return drawn;
}

/**
 * Returns the outline of steps: what is between `low` and `high`, from each start to each end.
 *
 * @param {{ start: number, end: number, low: number, high: number }[]} steps side by side, in pixels
 * @returns {string} for a path
 */
export function outline(steps) {
  const there = steps.map(({ start, end, high }) => `${at(start, high)}L${at(end, high)}`);
  const back = steps.toReversed().map(({ start, end, low }) => `${at(end, low)}L${at(start, low)}`);
  return `M${[...there, ...back].join("L")}Z`;
}

/**
 * @param {number} x
 * @param {number} y
 */
function at(x, y) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}
