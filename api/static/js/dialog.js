// A question that comes before everything else, and what is answered.

import { button, h } from "./dom.js";

let made = 0;

/**
 * A form in a dialog; what is written into it, or null where it is closed.
 * @param {string} title
 * @param {...import("./dom.js").Child} rest its content, and last the word for going on
 * @returns {Promise<FormData | null>}
 */
export function form(title, ...rest) {
  const word = `${rest.pop()}`;
  const id = `dialog-${++made}`;
  const inner = h("form", { method: "dialog" }, ...rest, h("div", { class: "row end" }, button("Cancel", () => dialog.close(), {}), button(word, () => {}, { class: "first", type: "submit" })));
  const dialog = h("dialog", { class: "asking", "aria-labelledby": id }, h("h2", { id }, title), inner);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    /** @type {FormData | null} */
    let sent = null;
    inner.addEventListener("submit", () => (sent = new FormData(inner)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(sent);
    });
  });
}

/** @param {string} title @param {string} words @param {string} yes @returns {Promise<boolean>} */
export async function ask(title, words, yes) {
  return (await form(title, h("p", { class: "quiet" }, words), yes)) !== null;
}
