// The library: every document of a collection, what is on its way, what can be done with them.

import { again, arrivals, dismiss, pickFiles } from "./arrivals.js";
import { send } from "./api.js";
import { collectionMenu, remove, renewAll, stop, tagAll, tryAgain } from "./actions.js";
import { menuOf } from "./dialog.js";
import { button, h, icon, iconButton, put } from "./dom.js";
import { filter, doomed, listed, matching, reach, total } from "./library.js";
import { brand, openDocument, showRail } from "./rail.js";
import { arrivalRow, documentRow, emptyRow, tagOf } from "./row.js";
import { collection, collections, documents, loaded, room, some } from "./state.js";
import { virtual } from "./virtual.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

export function docs() {
  const heading = h("h2", { class: "one-line" });
  const counts = h("p", { class: "quiet", role: "status" });
  const search = h("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter by name" });
  const states = h("select", { "aria-label": "State" }, [["", "Every state"], ["ready", "Ready"], ["processing", "Being read"], ["queued", "Waiting"], ["failed", "Failed"]].map(([value, name]) => h("option", { value }, name)));
  const only = h("span", { class: "only" });
  const every = h("input", { type: "checkbox", "aria-label": "Select all that are listed" });
  const bare = h("div", { class: "bare", hidden: true });
  const bar = h("div", { class: "plate picked", role: "group", "aria-label": "Selected documents", hidden: true });
  const head = h("div", { class: "doc-row head" }, every, h("span"), h("span", {}, "Name"), h("span", { class: "channels" }, "Channels"), h("span", { class: "state" }, "State"), h("span"));
  const scroller = h("div", { class: "docs", tabindex: -1 }, head);
  const list = virtual(scroller, draw, { "aria-label": "Documents" }, reach);
  const actions = menuOf();
  const more = iconButton("more", "About this collection", () => collectionMenu(actions, more), { "aria-haspopup": "menu" });
  const element = h(
    "section",
    { class: "room library", "aria-label": "Library", hidden: true },
    h("div", { class: "bar narrow" }, brand(), h("span", { class: "fill" }), iconButton("menu", "Collections", () => showRail(true))),
    h("div", { class: "lib-bar" }, h("div", { class: "fill" }, h("div", { class: "titled" }, heading, more), counts), only, h("label", { class: "field" }, icon("search"), search), h("label", { class: "field pick" }, states), button("Add documents", pickFiles, { class: "first" }, icon("add"))),
    bare,
    scroller,
    bar,
    actions.element,
  );

  /** @type {Set<string>} */
  let picked = new Set();
  let last = ""; // ticked, where a range begins
  /** @type {Map<string, {shown: DocumentOut, ticked: boolean, row: HTMLLIElement}>} */
  const rows = new Map();
  /** @type {WeakMap<import("./arrivals.js").Arrival, HTMLLIElement>} */
  const coming = new WeakMap();
  /** @type {import("./arrivals.js").Arrival[]} */
  let above = [];
  /** @type {DocumentOut[]} */
  let below = [];

  /** @type {import("./row.js").Does} */
  const does = {
    open: openDocument,
    menu: (found, from) => menuFor(found, from),
    retry: tryAgain,
    tick,
    again,
    dismiss,
    stop,
  };

  /** @param {number} index */
  function draw(index) {
    const arrival = above[index];
    if (arrival) {
      const row = coming.get(arrival) ?? arrivalRow(arrival, does);
      coming.set(arrival, row);
      return row;
    }
    const found = below[index - above.length];
    if (!found) return emptyRow();
    const ticked = picked.has(found.id);
    const kept = rows.get(found.id);
    if (kept?.shown === found && kept.ticked === ticked) return kept.row;
    const row = documentRow(found, ticked, does);
    if (rows.size > 400) rows.clear(); // far more than are in sight
    rows.set(found.id, { shown: found, ticked, row });
    return row;
  }

  function fill() {
    if (room.get() !== "library") return;
    above = matching.get() ? [] : arrivals.get().filter((each) => !each.collection || each.collection === collection.get());
    const reading = new Set(above.filter(({ phase }) => phase === "reading").map(({ document }) => document?.id));
    below = reading.size ? listed().filter((each) => !reading.has(each.id)) : listed();
    const count = above.length + Math.max(below.length, matching.get() ? 0 : total() - reading.size);
    list.show(count);
    tell(count);
  }

  /** @param {number} count of rows */
  function tell(count) {
    const all = loaded.get() ? total() : 0;
    const failed = below.filter(({ status }) => status === "failed").length;
    const pages = below.reduce((sum, each) => sum + each.pages, 0);
    const whole = below.length >= all;
    put(heading, collection.get() || "Library");
    put(counts, !loaded.get() ? "" : matching.get() ? `${some(below.length, "document")}${matching.get()?.more ? " and more" : ""} of this filter` : [some(all, "document"), whole && all ? `, ${some(pages, "page")}` : "", whole && failed ? `, ${failed} failed` : ""].join(""));
    scroller.hidden = loaded.get() && !count;
    bare.hidden = !scroller.hidden;
    if (!bare.hidden) put(bare, matching.get() ? nothing() : welcome());
    put(only, Object.entries(filter.get().metadata).map(([key, value]) => button(tagOf(key, value), () => filter.set({ ...filter.get(), metadata: {} }), { class: "tag", "aria-label": `Only ${tagOf(key, value)}; press to see all` }, icon("close"))));
    every.checked = picked.size > 0 && below.length > 0 && below.every((each) => picked.has(each.id));
    every.indeterminate = picked.size > 0 && !every.checked;
    more.hidden = !collection.get();
  }

  const nothing = () => [h("h3", {}, "None of this filter."), button("Show all", () => ((search.value = states.value = ""), filter.set({ q: "", status: "", metadata: {} })), { class: "lined" })];
  const welcome = () => [h("h3", {}, "Nothing here yet."), h("p", { class: "quiet" }, "Drop files or folders anywhere on the page: PDF and images."), button("Add documents", pickFiles, { class: "lined" }, icon("add"))];

  /** @param {DocumentOut} found @param {boolean} ticked @param {boolean} range from the one that was ticked before */
  function tick(found, ticked, range) {
    const from = below.findIndex((each) => each.id === last);
    const to = below.indexOf(found);
    const some = range && from >= 0 ? below.slice(Math.min(from, to), Math.max(from, to) + 1) : [found];
    const next = new Set(picked);
    for (const each of some) ticked ? next.add(each.id) : next.delete(each.id);
    last = found.id;
    pick(next);
  }

  /** @param {Set<string>} next */
  function pick(next) {
    picked = next;
    bar.hidden = !picked.size;
    const chosen = () => below.filter((each) => picked.has(each.id));
    const then = (/** @type {(list: DocumentOut[]) => unknown} */ act) => () => (act(chosen()), pick(new Set()));
    put(bar, h("span", { role: "status" }, `${picked.size.toLocaleString()} selected`), button("Tags", () => tagAll(chosen())), button("Read again", then(renewAll)), button("Delete", then(remove)), iconButton("close", "Clear selection", () => pick(new Set())));
    fill();
  }

  /** @param {DocumentOut} found @param {HTMLElement} from */
  function menuFor(found, from) {
    actions.open(from, [
      ["Open", found.pages && found.status === "ready" ? () => openDocument(found) : null],
      ["Tags", () => tagAll([found])],
      [found.status === "failed" ? "Retry" : "Read again", () => (found.status === "failed" ? tryAgain(found) : renewAll([found]))],
      ["Download", () => download(found)],
      ["Delete", () => remove([found])],
    ]);
  }

  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => filter.set({ ...filter.get(), q: search.value.trim() }), 150);
  });
  states.addEventListener("change", () => filter.set({ ...filter.get(), status: states.value }));
  every.addEventListener("change", () => pick(new Set(every.checked ? below.map((each) => each.id) : [])));
  collection.watch(() => {
    rows.clear();
    search.value = states.value = "";
    scroller.scrollTop = 0;
    pick(new Set());
  });
  filter.watch(() => (scroller.scrollTop = 0));
  for (const each of [arrivals, collections, documents, doomed, filter, loaded, matching, room]) each.watch(fill);
  return { element, focus: () => search.focus() };
}

/** @param {DocumentOut} found */
async function download(found) {
  // A link can't send a key.
  const address = URL.createObjectURL(await (await send(`/v1/documents/${found.id}/file`)).blob());
  h("a", { href: address, download: found.filename }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
