// What the library lists: all documents of the collection, or those that a filter leaves, asked of the server.

import { ask } from "./api.js";
import { loadMore, unfinished, watch } from "./library.js";
import { signal } from "./signal.js";
import { collection, collections, documents, more } from "./state.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */
/** @typedef {{q: string, status: string, metadata: Record<string, unknown>}} Filter */

export const ALL = Object.freeze({ q: "", status: "", metadata: Object.freeze({}) });
const AT_ONCE = 100;

export const filter = signal(/** @type {Filter} */ (ALL));

/** What the filter leaves, as far as it is loaded; null without one. */
export const matching = signal(/** @type {{items: DocumentOut[], more: boolean} | null} */ (null));

/** Ids that are about to be deleted and not shown any more. */
export const doomed = signal(/** @type {ReadonlySet<string>} */ (new Set()));

const isFiltered = () => Boolean(filter.get().q || filter.get().status || Object.keys(filter.get().metadata).length);

/** @returns {DocumentOut[]} those that are listed, as far as they are loaded */
export function listed() {
  const found = matching.get()?.items ?? documents.get();
  return doomed.get().size ? found.filter((each) => !doomed.get().has(each.id)) : found;
}

/** @returns {number} how many there are, loaded or not; of a filter those that are known so far */
export function total() {
  if (matching.get() || !more.get()) return listed().length;
  const counted = collections.get().find((each) => each.name === collection.get())?.documents ?? 0;
  return Math.max(listed().length, counted - doomed.get().size);
}

let stretch = 0; // the filter that is asked for now; answers to earlier ones come too late
let loading = false;

filter.watch(() => {
  stretch += 1;
  loading = false;
  if (!isFiltered()) matching.set(null);
  else load([]);
});
collection.watch(() => filter.set(ALL));
documents.watch((all) => {
  // What is followed there changes here, too.
  const shown = matching.get();
  if (!shown) return;
  const fresh = new Map(all.map((each) => [each.id, each]));
  matching.set({ ...shown, items: shown.items.map((each) => fresh.get(each.id) ?? each) });
});

/** @param {DocumentOut[]} before */
async function load(before) {
  if (loading) return;
  loading = true;
  const mine = stretch;
  const { q, status, metadata } = filter.get();
  const asked = new URLSearchParams({ collection: collection.get(), limit: `${AT_ONCE}` });
  if (q) asked.set("q", q);
  if (status) asked.set("status", status);
  if (Object.keys(metadata).length) asked.set("metadata", JSON.stringify(metadata));
  const last = before.at(-1)?.id;
  if (last) asked.set("after", last);
  try {
    /** @type {import("./wire.js").Listed<DocumentOut>} */
    const found = await ask(`/v1/documents?${asked}`);
    if (mine !== stretch) return;
    matching.set({ items: [...before, ...found.data], more: found.has_more });
    for (const each of found.data) if (unfinished(each)) watch(each.id);
  } finally {
    if (mine === stretch) loading = false;
  }
}

/** @param {number} last the row that is in sight: documents are loaded up to it, and some more */
export async function reach(last) {
  const shown = matching.get();
  if (shown ? shown.more && shown.items.length < last + AT_ONCE / 2 : more.get() && documents.get().length < last + AT_ONCE / 2) {
    await (shown ? load(shown.items) : loadMore()).catch(() => {});
  }
}

/** Again what the server has. */
export const renew = () => filter.set({ ...filter.get() });
