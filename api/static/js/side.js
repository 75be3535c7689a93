// What the rail lists in the library and the settings, in place of the documents.

import { newCollection } from "./choices.js";
import { button, h, icon, put } from "./dom.js";
import { choose } from "./library.js";
import { filter } from "./listing.js";
import { showRail } from "./rail.js";
import { tagOf } from "./row.js";
import { collection, collections, documents, room } from "./state.js";

const MOST_TAGS = 12;

/** @type {[string, string][]} */
export const SECTIONS = [["models", "Models"], ["channels", "Channels"], ["keys", "API keys"], ["connect", "Connect"], ["look", "Appearance"]];

export function side() {
  const back = h("a", { class: "item", href: "/", "data-room": true }, icon("left"), "Back to the questions");
  const groups = h("ul", { "aria-label": "Collections" });
  const tags = h("ul", { "aria-label": "Tags" });
  const library = h("div", {}, h("h3", { class: "title" }, "Collections"), groups, button("New collection", newCollection, { class: "item" }, icon("add")), h("h3", { class: "title" }, "Tags"), tags);
  const settings = h("ul", { "aria-label": "Settings" }, SECTIONS.map(([id, name]) => h("li", {}, h("a", { class: "item", href: `#${id}`, on: { click: (/** @type {Event} */ event) => (event.preventDefault(), to(id)) } }, name))));
  const element = h("div", { class: "side", hidden: true }, back, library, settings);

  room.watch((name) => {
    element.hidden = name !== "library" && name !== "settings";
    library.hidden = name !== "library";
    settings.hidden = name !== "settings";
    list();
  });
  for (const each of [collections, collection, documents, filter]) each.watch(list);

  function list() {
    if (room.get() !== "library") return;
    put(groups, collections.get().map((each) => h("li", {}, h("button", { type: "button", class: "item", "aria-current": each.name === collection.get(), on: { click: () => (showRail(false), choose(each.name)) } }, each.name, h("small", {}, each.documents.toLocaleString())))));
    put(tags, found().map(([key, value]) => h("li", {}, button(tagOf(key, value), () => press(key, value), { class: "item", "aria-pressed": filter.get().metadata[key] === value }))));
    tags.previousElementSibling?.toggleAttribute("hidden", !tags.childElementCount);
  }

  /** @param {string} key @param {unknown} value */
  function press(key, value) {
    const { metadata, ...rest } = filter.get();
    filter.set({ ...rest, metadata: metadata[key] === value ? {} : { [key]: value } });
    showRail(false);
  }
  return element;
}

/** @returns {[string, unknown][]} tags of the documents that are loaded, the most frequent first */
function found() {
  /** @type {Map<string, {tag: [string, unknown], times: number}>} */
  const seen = new Map();
  for (const each of documents.get()) {
    for (const tag of Object.entries(each.metadata)) {
      const name = JSON.stringify(tag);
      const one = seen.get(name) ?? { tag, times: 0 };
      one.times += 1;
      seen.set(name, one);
    }
  }
  return [...seen.values()].sort((a, b) => b.times - a.times).slice(0, MOST_TAGS).map(({ tag }) => tag);
}

/** @param {string} id of a section of the settings */
function to(id) {
  showRail(false);
  const section = document.getElementById(`set-${id}`);
  section?.scrollIntoView({ block: "start" });
  section?.querySelector("h2")?.focus({ preventScroll: true });
}
