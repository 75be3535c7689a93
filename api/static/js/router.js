// Addresses: which room is shown and what the viewer is open at. `/d/<document>#page=2&cite=<words>` opens a page with
// a quote; the quote is checked anew against the page, so that a link can't mark what is not there.

import { home } from "./conversation.js";
import { ask, isAbort, quoteOn } from "./api.js";
import { tell } from "./dom.js";
import { room, view } from "./state.js";

/** @typedef {import("./state.js").View} View */
/** @typedef {import("./state.js").Cited} Cited */

/**
 * Rooms with an address of their own, beside the conversation and the search.
 * @type {Record<string, import("./state.js").Room>}
 */
const ROOMS = { "/library": "library", "/settings": "settings" };

/**
 * The address that opens this again.
 * @param {Pick<View, "document" | "page"> & Partial<View>} shown
 */
export function addressOf({ document, page, cited = [], current = 0, tab = "page", query = "" }) {
  const words = new URLSearchParams({ page: `${page}` });
  const quote = cited.find((each) => each.index === current)?.quote;
  if (quote) words.set("cite", quote);
  if (tab !== "page") words.set("tab", tab);
  if (tab === "heat" && query) words.set("query", query);
  return `/d/${encodeURIComponent(document)}#${words}`;
}

/**
 * Open the viewer or turn it to something else. `quiet`: by the page itself; leaves no trace in the history.
 * @param {View} shown
 * @param {{quiet?: boolean}} [options]
 */
export function open(shown, { quiet = false } = {}) {
  const opened = view.get() !== null;
  const state = { view: shown, opened: history.state?.opened ?? false, home: below() };
  try {
    if (opened || quiet) history.replaceState(state, "", addressOf(shown));
    else history.pushState({ ...state, opened: true }, "", addressOf(shown));
  } catch {
    // Browsers refuse more than so many a second, as when somebody leafs quickly; the next one says it.
  }
  view.set(shown);
}

/** @returns {string} where the room is that lies below the page */
function below() {
  if (room.get() === "talk") return home();
  return location.pathname.startsWith("/d/") ? (history.state?.home ?? home()) : location.pathname + location.search;
}

/** @param {Partial<View>} changes of what is open */
export function turn(changes) {
  const shown = view.get();
  if (shown) open({ ...shown, ...changes });
}

/** Close the viewer; the way back in the history does the same. */
export function close() {
  if (!view.get()) return;
  view.set(null);
  if (history.state?.opened) history.back();
  else history.replaceState({}, "", below());
}

/**
 * Another room.
 * @param {string} address
 */
export function go(address) {
  if (address !== location.pathname + location.search) history.pushState({}, "", address);
  read();
}

/** Told what an address asks for. `back`: it was shown before, and may be still. */
let rooms = { search: (/** @type {string} */ _query, /** @type {boolean} */ _back) => {}, reopen: (/** @type {string} */ _conversation) => {} };

/** May be called again. @param {typeof rooms} told */
export function start(told) {
  rooms = told;
  addEventListener("popstate", goBack);
  document.addEventListener("click", follow);
  read();
}

const goBack = () => read(true);

/** @param {MouseEvent} event on a link to a room, perhaps */
function follow(event) {
  const link = event.target instanceof Element ? event.target.closest("a[data-room]") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const to = link.getAttribute("href") ?? "/";
  go(to === "/" ? home() : to);
}

/** @param {boolean} [back] in the history, or forward */
function read(back = false) {
  const { pathname, search, hash } = location;
  const kept = history.state;
  if (!pathname.startsWith("/d/")) {
    view.set(null);
    enter(pathname + search, back);
  } else if (kept?.view) {
    view.set(kept.view);
    enter(kept.home, back);
  } else fromLink(decodeURIComponent(pathname.slice(3)), new URLSearchParams(hash.slice(1)));
}

/** @param {string} address of a room, that of a conversation among them @param {boolean} back */
function enter(address, back) {
  const { pathname, searchParams } = new URL(address, location.origin);
  const query = searchParams.get("search");
  room.set(query ? "results" : (ROOMS[pathname] ?? "talk"));
  if (query) rooms.search(query, back);
  if (pathname.startsWith("/c/")) rooms.reopen(decodeURIComponent(pathname.slice(3)));
}

/**
 * @param {string} id
 * @param {URLSearchParams} words
 */
async function fromLink(id, words) {
  try {
    const page = Math.max(1, Number(words.get("page")) || 1);
    /** @type {import("./wire.js").DocumentOut} */
    const found = await ask(`/v1/documents/${encodeURIComponent(id)}`);
    const quote = words.get("cite");
    const tab = words.get("tab");
    const cited = quote ? [await citation(found, Math.min(page, found.pages), quote)] : [];
    open(
      {
        document: found.id,
        filename: found.filename,
        version: found.version,
        page: Math.min(page, Math.max(1, found.pages)),
        cited,
        current: cited.length,
        source: "link",
        tab: tab === "text" || tab === "heat" ? tab : "page",
        query: words.get("query") ?? "",
      },
      { quiet: true },
    );
  } catch (error) {
    if (isAbort(error)) return;
    history.replaceState({}, "", below());
    tell(error, "The link could not be opened: ");
  }
}

/**
 * @param {import("./wire.js").DocumentOut} found
 * @param {number} page
 * @param {string} quote
 * @returns {Promise<Cited>}
 */
async function citation(found, page, quote) {
  const { quote_status, boxes } = await quoteOn(found.id, page, quote);
  return { index: 1, document: { id: found.id, filename: found.filename, pages: found.pages }, version: found.version, page, quote, quote_status, boxes };
}
