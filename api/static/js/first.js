// An empty library: what this is, a way to put files in, and the sample to try it on.

import { problemOf } from "./api.js";
import { button, h, icon, put, s } from "./dom.js";
import { addSamples, sampleQuestions } from "./library.js";
import { pickFiles } from "./upload.js";

/** @param {(question: string, first: Promise<unknown>) => void} ask */
export function first(ask) {
  const asks = h("ul", { class: "asks" });
  const told = h("p", { class: "quiet", role: "status" });
  const opening = button("Open the sample", () => openSample(), { class: "lined" });
  const element = h(
    "section",
    { class: "first-run", "aria-labelledby": "welcome" },
    h(
      "div",
      { class: "inner" },
      fan(),
      h("h2", { id: "welcome" }, "Ask your documents. See the page."),
      h("p", {}, "Drop PDFs, scans or photos anywhere. Every answer shows the page it comes from, with the words marked."),
      h("div", { class: "row" }, button("Add documents", pickFiles, { class: "first" }, icon("add")), opening),
      told,
      asks,
    ),
  );

  async function openSample() {
    opening.disabled = true;
    put(told, "Reading the sample: a report, a manual and a scanned letter.");
    try {
      await addSamples();
      put(told);
    } catch (error) {
      put(told, `The sample could not be opened: ${problemOf(error).message}`);
    }
    opening.disabled = false;
  }

  sampleQuestions().then(
    (list) => put(asks, h("li", { class: "quiet small" }, "Or ask the sample"), list.map(({ question }) => h("li", {}, h("button", { type: "button", on: { click: () => ask(question, addSamples()) } }, h("span", { class: "fill" }, question), icon("go"))))),
    () => {},
  );
  return element;
}

/** Four sheets on one hinge, the first with its words and two lines marked. */
function fan() {
  const sheet = (/** @type {number} */ angle) => h("span", { class: "sheet", vars: { turn: `${angle}deg` } });
  const rows = [[14, 40, 0], [24, 72, 1], [30, 58, 1], [36, 70, 0], [42, 64, 0], [48, 71, 0], [54, 35, 0], [66, 72, 0], [72, 66, 0], [78, 70, 0], [84, 44, 0]];
  const lines = rows.map(([y, width, marked]) => [
    marked ? s("rect", { x: 12, y: (y ?? 0) - 2.2, width: width ?? 0, height: 5.4, class: "marked" }) : null,
    s("rect", { x: 14, y: y ?? 0, width: (width ?? 0) - 4, height: y === 14 ? 2.4 : 1.2, class: "ink" }),
  ]);
  const front = sheet(-3);
  front.append(s("svg", { viewBox: "0 0 100 132" }, ...lines.flat()));
  return h("div", { class: "fan", "aria-hidden": "true" }, sheet(32), sheet(21), sheet(10), front);
}
