// Menus of what can be done, and what can be done with a collection.

import { removeCollection } from "./actions.js";
import { ask, problemOf } from "./api.js";
import { button, h, put, toast } from "./dom.js";
import { form } from "./dialog.js";
import { choose, load, recount } from "./library.js";
import { collection, collections } from "./state.js";

const NAME = "[\\p{L}\\p{N}][\\p{L}\\p{N}_.\\-]{0,63}";

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

/** @param {string} title @param {string} value @param {string} word */
async function named(title, value, word) {
  const input = h("input", { name: "name", value, required: true, pattern: NAME, maxlength: 64, autocomplete: "off", "aria-label": "Name", title: "Letters, digits, dots, hyphens and underscores; it begins with a letter or a digit." });
  const sent = await form(title, h("div", { class: "field" }, input), h("p", { class: "quiet small" }, "Letters, digits, dots, hyphens, underscores."), word);
  return sent ? `${sent.get("name")}`.trim() : "";
}

/** @param {() => Promise<unknown>} act */
const tried = (act) => act().catch((error) => toast(problemOf(error).message, undefined, 8000));

export const newCollection = () =>
  tried(async () => {
    const name = await named("A new collection", "", "Make it");
    if (!name) return;
    await ask("/v1/collections", { json: { name } });
    await recount();
    await choose(name);
  });

/** @param {Menu} menu @param {HTMLElement} from */
export function collectionMenu(menu, from) {
  const name = collection.get();
  const documents = collections.get().find((each) => each.name === name)?.documents ?? 0;
  menu.open(from, [
    ["Rename", () => tried(async () => {
      const next = await named("Rename the collection", name, "Rename");
      if (!next || next === name) return;
      await ask(`/v1/collections/${encodeURIComponent(name)}`, { method: "PATCH", json: { name: next } });
      await recount();
      await choose(next);
    })],
    ["Delete collection", () => tried(async () => (await removeCollection(name, documents)) && load())],
  ]);
}
