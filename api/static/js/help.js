// The keys, in a dialog.

import { h, iconButton } from "./dom.js";

/** @type {Record<string, [string, string[]][]>} */
const KEYS = {
  Everywhere: [
    ["Ask or search", ["/"]],
    ["Search only", ["Ctrl", "⏎"]],
    ["Add documents", ["U"]],
    ["Library", ["L"]],
    ["Settings", [","]],
    ["This help", ["?"]],
    ["Close", ["Esc"]],
  ],
  "Results and answers": [
    ["Next, previous", ["J", "K"]],
    ["Open", ["⏎"]],
    ["Next, previous citation", ["]", "["]],
    ["Copy quote with citation", ["C"]],
  ],
  Page: [
    ["Previous, next page", ["←", "→"]],
    ["Zoom in, out", ["+", "−"]],
    ["Fit page", ["0"]],
    ["Heat map", ["H"]],
    ["Text", ["T"]],
  ],
};

/** The browser gives the focus back to where it was when the dialog is closed. */
export function help() {
  const dialog = h("dialog", { "aria-labelledby": "keys-title" });
  const row = (/** @type {[string, string[]]} */ [what, keys]) =>
    h("div", {}, h("dt", {}, what), h("dd", {}, keys.map((each) => h("kbd", {}, each))));
  dialog.append(
    h("div", { class: "dialog-head" }, h("h2", { id: "keys-title" }, "Keys"), iconButton("close", "Close", () => dialog.close())),
    h("div", { class: "keys" }, Object.entries(KEYS).map(([title, rows]) => h("section", {}, h("h3", {}, title), h("dl", {}, rows.map(row))))),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
