/** The same five minutes as a table: for who cannot see the picture, or wants to copy it. */

import { make } from "../common/elements.js";
import { KEPT_MS, sum } from "./heard.js";
import { total } from "./reading.js";
import { toTheSecond } from "./words.js";

/** @import {Heard} from "./heard.js" */

const ROW_MS = 30_000;

/**
 * Writes the rows, the latest first.
 *
 * @param {HTMLTableElement} table
 * @param {Heard} heard
 * @param {number} now
 */
export function fillTable(table, { samples }, now) {
  const rows = [];
  for (let to = now; to > now - KEPT_MS; to -= ROW_MS) {
    const part = sum(samples, to - ROW_MS, to);
    const whole = [...part.refused].map(([reason, count]) => [Math.round(count), reason]);
    const why = whole.filter(([count]) => count).map((each) => each.join(" "));
    const cells = [part.issued, part.replayed, total(part.refused)];
    const known = part.seconds >= 0.5;
    rows.push(
      make(
        "tr",
        {},
        make("th", { scope: "row" }, toTheSecond(to)),
        ...cells.map((count) => make("td", { class: "number" }, known ? String(Math.round(count)) : "–")),
        make("td", {}, why.join(", ") || "–"),
        make("td", { class: "number" }, String(Math.round(part.seconds))),
      ),
    );
  }
  table.tBodies[0]?.replaceChildren(...rows);
}
