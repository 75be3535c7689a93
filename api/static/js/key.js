// A server that asks for a key: the one question that comes before all others.

import { keyWanted, setKey } from "./api.js";
import { button, h } from "./dom.js";

/** @param {() => void} again called with every key that is given */
export function askForKey(again) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "fs_…", "aria-label": "Key", required: true });
  const form = h("form", { method: "dialog" }, h("div", { class: "field" }, input, button("Open", () => {}, { class: "first", type: "submit" })));
  const dialog = h("dialog", { class: "key", "aria-labelledby": "key-title" }, h("h2", { id: "key-title" }, "This server asks for a key."), h("p", { class: "quiet" }, "It stays in this browser until you sign out."), form);
  form.addEventListener("submit", () => {
    setKey(input.value.trim());
    input.value = "";
    again();
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(dialog);
  keyWanted.watch((wanted) => {
    if (wanted && !dialog.open) dialog.showModal();
    else if (!wanted && dialog.open) dialog.close();
  });
}
