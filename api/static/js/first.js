// An empty library: what this is, a way to put files in, and the sample to try it on.

import { pickFiles } from "./arrivals.js";
import { problemOf } from "./api.js";
import { button, h, icon, put } from "./dom.js";
import { addSamples, sampleQuestions } from "./library.js";

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

/** Four sheets on one hinge, the first with its words and two lines marked: the style sheet draws them. */
const fan = () => h("div", { class: "fan", "aria-hidden": "true" }, [32, 21, 10, -3].map((angle) => h("span", { class: "sheet", vars: { angle: `${angle}deg` } })));
