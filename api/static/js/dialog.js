// What opens over the page: a question that comes before everything else, a menu.

import { button, h, put } from "./dom.js";

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

/** @typedef {ReturnType<typeof menuOf>} Menu */

/** A menu that opens beside what it is asked for from; a choice without anything to do is left out. */
export function menuOf() {
  const element = h("div", { popover: "auto", class: "menu doing", role: "menu" });
  element.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const items = [...element.children];
    const at = items.indexOf(/** @type {Element} */ (document.activeElement));
    /** @type {HTMLElement | undefined} */ (items.at((at + step) % items.length))?.focus();
  });
  return {
    element,
    /** @param {HTMLElement} from @param {[string, (() => unknown) | null][]} choices */
    open(from, choices) {
      const doable = choices.filter(([, act]) => act !== null);
      put(element, doable.map(([name, act]) => button(name, () => (element.hidePopover(), act?.()), { role: "menuitem" })));
      /** @type {{showPopover: (options: {source: HTMLElement}) => void}} the checker knows it without its source */ (element).showPopover({ source: from });
      /** @type {HTMLElement | null} */ (element.firstElementChild)?.focus();
    },
  };
}
