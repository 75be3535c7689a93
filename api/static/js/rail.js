// The library beside the conversation: which collection, which documents, how far they are.

import { imageAddress, show } from "./api.js";
import { button, dress, h, icon, iconButton, mark, put } from "./dom.js";
import { choose, loadMore, share } from "./library.js";
import { open } from "./router.js";
import { collection, collections, documents, loaded, model, more, titleOf, view } from "./state.js";
import { side } from "./side.js";
import { themeButton } from "./theme.js";
import { pickFiles } from "./upload.js";
import { virtual } from "./virtual.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

/** @returns {HTMLElement} */
export function rail() {
  const filter = h("input", { type: "search", placeholder: "Filter documents", "aria-label": "Filter documents" });
  const chooser = h("select", { "aria-label": "Collection" });
  const above = h("div", { class: "above" }, h("div", { class: "field" }, icon("search"), filter));
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

  chooser.addEventListener("change", () => choose(chooser.value));
  filter.addEventListener("input", () => fillShelf());
  shelf.addEventListener("scroll", () => {
    if (more.get() && shelf.scrollTop + shelf.clientHeight > shelf.scrollHeight - 800) loadMore();
  });

  /** @type {Map<string, {row: HTMLLIElement, shown: DocumentOut}>} rows by document, kept while they are unchanged */
  const rows = new Map();

  function fillShelf() {
    const wanted = filter.value.trim().toLowerCase();
    listed = documents.get().filter((each) => each.filename.toLowerCase().includes(wanted));
    list.show(listed.length);
    bare.hidden = !loaded.get() || listed.length > 0;
    put(bare, wanted ? "None of this name." : "Nothing here yet.");
    above.hidden = !documents.get().length;
    if (wanted && more.get()) loadMore();
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
  const cover = h("span", { class: "cover" });
  if (found.status === "ready" && found.pages) {
    const picture = h("img", { alt: "", loading: "lazy", decoding: "async" });
    cover.append(picture);
    show(picture, imageAddress(found.id, found.version, 1, 30)).then((there) => there || bare(cover));
  } else bare(cover);
  const behind = found.status === "ready" && share(found) < 1;
  return h(
    "a",
    {
      class: "book",
      href: `/d/${found.id}`,
      on: {
        click: (/** @type {MouseEvent} */ event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          showRail(false);
          openDocument(found);
        },
      },
    },
    cover,
    h(
      "span",
      { class: "fill" },
      h("b", { title: found.filename }, titleOf(found.filename)),
      h("small", { class: "one-line" }, stateOf(found)),
      behind && h("i", { class: "gauge", vars: { part: share(found) } }),
    ),
  );
}

/** @param {HTMLElement} cover */
function bare(cover) {
  dress(cover, { class: "cover none" });
  put(cover, icon("file"));
}

/** @param {DocumentOut} found in a few words */
function stateOf(found) {
  const pages = found.pages === 1 ? "1 page" : `${found.pages} pages`;
  if (found.status === "failed") return found.error?.message ?? "Could not be read";
  if (found.status === "queued") return "Waiting to be read";
  if (found.status === "processing") return found.pages ? `Reading, ${pages} so far` : "Reading";
  const behind = Object.entries(found.coverage).find(([, { done, total }]) => done < total);
  return behind ? `${pages}, ${behind[0]} ${Math.floor((100 * behind[1].done) / behind[1].total)} %` : pages;
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
