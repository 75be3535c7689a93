// What stands at the left: the collection and its documents, how far they are; collections and tags, sections.

import { newCollection } from "./actions.js";
import { pickFiles } from "./arrivals.js";
import { button, h, icon, iconButton, link, mark, put, tell } from "./dom.js";
import { choose, filter, loadMore, share } from "./library.js";
import { open } from "./router.js";
import { cover, percent, stateOf as rowState, tagOf } from "./row.js";
import { collection, collections, documents, loaded, model, more, room, some, titleOf, view } from "./state.js";
import { themeButton } from "./theme.js";
import { virtual } from "./virtual.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

const ENOUGH = 50; // documents of a name; fewer, and it is looked for among those behind, too

/** @returns {HTMLElement} */
export function rail() {
  const named = h("input", { type: "search", placeholder: "Filter documents", "aria-label": "Filter documents" });
  const chooser = h("select", { "aria-label": "Collection" });
  const above = h("div", { class: "above" }, h("div", { class: "field" }, icon("search"), named));
  const shelf = h("div", { class: "shelf" });
  const bare = h("p", { class: "quiet small title", hidden: true });
  const list = virtual(shelf, (index) => row(/** @type {DocumentOut} */ (listed[index])), { "aria-label": "Documents" });
  /** @type {DocumentOut[]} */
  let listed = [];
  const reads = h("span", { class: "fill one-line" });
  const element = h(
    "nav",
    { class: "pane rail", "aria-label": "Library", id: "library" },
    h("div", { class: "bar" }, brand(), h("span", { class: "fill" }), iconButton("close", "Close the library", () => showRail(false), { class: "close-rail" })),
    above,
    h("div", { class: "title" }, chooser),
    bare,
    shelf,
    h("div", { class: "below" }, button("Add documents", pickFiles, { class: "lined" }, icon("add"))),
    side(),
    h("div", { class: "foot" }, reads, roomLink("book", "Library", "/library"), themeButton(), roomLink("set", "Settings", "/settings")),
  );

  chooser.addEventListener("change", () => choose(chooser.value).catch(tell));
  named.addEventListener("input", () => fillShelf());
  shelf.addEventListener("scroll", () => {
    if (more.get() && shelf.scrollTop + shelf.clientHeight > shelf.scrollHeight - 800) loadMore().catch(() => {});
  });

  /** @type {Map<string, {row: HTMLLIElement, shown: DocumentOut}>} rows by document, kept while they are unchanged */
  const rows = new Map();

  function fillShelf() {
    const wanted = named.value.trim().toLowerCase();
    listed = documents.get().filter((each) => each.filename.toLowerCase().includes(wanted));
    list.show(listed.length);
    bare.hidden = !loaded.get() || listed.length > 0;
    put(bare, !wanted ? "Nothing here yet." : more.get() ? "Looking" : "None of this name.");
    above.hidden = !documents.get().length;
    if (wanted && more.get() && listed.length < ENOUGH) loadMore().catch(() => {}); // which fills the shelf again
    light();
  }

  /** @param {DocumentOut} found */
  function row(found) {
    const kept = rows.get(found.id);
    if (kept?.shown === found) return kept.row;
    const made = h("li", { "data-key": found.id }, book(found));
    made.firstElementChild?.setAttribute("aria-current", `${view.get()?.document === found.id}`);
    if (rows.size > 400) rows.clear(); // far more than are in sight
    rows.set(found.id, { row: made, shown: found });
    return made;
  }

  function light() {
    const open = view.get()?.document;
    for (const [id, { row }] of rows) row.firstElementChild?.setAttribute("aria-current", `${id === open}`);
  }

  collections.watch((list) => {
    put(chooser, list.map((each) => h("option", { value: each.name }, each.name)));
    chooser.value = collection.get();
    chooser.hidden = !list.length;
  });
  collection.watch((name) => {
    chooser.value = name;
    rows.clear();
  });
  documents.watch(fillShelf);
  loaded.watch(fillShelf);
  view.watch(light);
  model.watch((name) => put(reads, name === "extractive" ? "No model set" : name));
  return element;
}

/** @param {DocumentOut} found */
function book(found) {
  const behind = found.status === "ready" && share(found) < 1;
  return link(
    `/d/${found.id}`,
    () => (showRail(false), openDocument(found)),
    { class: "book" },
    cover(found, 30),
    h(
      "span",
      { class: "fill" },
      h("b", { title: found.filename }, titleOf(found.filename)),
      h("small", { class: "one-line" }, stateOf(found)),
      behind && h("i", { class: "gauge", vars: { part: share(found) } }),
    ),
  );
}

/** @param {DocumentOut} found in a few words */
function stateOf(found) {
  const [state, detail] = rowState(found);
  if (found.status !== "ready") return detail || state;
  const behind = Object.entries(found.coverage).find(([, { done, total }]) => done < total);
  return some(found.pages, "page") + (behind ? `, ${behind[0]} ${percent(behind[1])}` : "");
}

/** @param {DocumentOut} found */
export function openDocument(found) {
  if (!found.pages) return;
  const { id, filename, version } = found;
  open({ document: id, filename, version, page: 1, cited: [], current: 0, source: "shelf", tab: "page", query: "" });
}

/** @param {"book" | "set"} drawing @param {string} name @param {string} to */
const roomLink = (drawing, name, to) => h("a", { class: "button square", href: to, "data-room": true, "aria-label": name, title: name, on: { click: () => showRail(false) } }, icon(drawing));

/** The name of the house; leads to the conversation. */
export function brand() {
  return h("a", { class: "brand", href: "/", "data-room": true, "aria-label": "Folioscope, home" }, mark(), "Folioscope");
}

/** @param {boolean} visible on screens where the library lies over the page */
export function showRail(visible) {
  const element = document.getElementById("library");
  element?.classList.toggle("open", visible);
  if (visible) element?.querySelector("input")?.focus();
}

const MOST_TAGS = 12;

/** @type {[string, string][]} */
export const SECTIONS = [["models", "Models"], ["channels", "Channels"], ["keys", "API keys"], ["connect", "Connect"], ["look", "Appearance"]];

/** What the library and the settings list here in place of the documents. */
function side() {
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
    put(groups, collections.get().map((each) => h("li", {}, h("button", { type: "button", class: "item", "aria-current": each.name === collection.get(), on: { click: () => (showRail(false), choose(each.name).catch(tell)) } }, each.name, h("small", {}, each.documents.toLocaleString())))));
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
