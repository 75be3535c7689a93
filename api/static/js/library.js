// Collections and documents as they are on the server: loading them, those that a filter leaves, handing files in,
// following what is read.

import { ask, events, problemOf } from "./api.js";
import { tell } from "./dom.js";
import { collection, collections, documents, loaded, model, more, scope, signal } from "./state.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */
/** @typedef {import("./wire.js").Uploaded} Uploaded */

const AT_ONCE = 100;
const CHOSEN = "folioscope.collection";

/** What the page needs to know first. */
export async function load() {
  /** @type {[import("./wire.js").Listed<import("./wire.js").CollectionOut>, import("./wire.js").Models]} */
  const [found, models] = await Promise.all([ask("/v1/collections"), ask("/v1/models")]);
  collections.set(found.data);
  model.set(models.answering);
  const names = found.data.map((each) => each.name);
  const kept = localStorage.getItem(CHOSEN) ?? "";
  await choose(names.includes(kept) ? kept : names.includes("default") ? "default" : (names[0] ?? ""));
}

/** @param {string} name of the collection to be asked from now on; empty where there is none */
export async function choose(name) {
  if (name) localStorage.setItem(CHOSEN, name);
  const mine = (chosen += 1);
  loading = false;
  loaded.set(false);
  collection.set(name);
  scope.set(new Set());
  documents.set([]);
  more.set(false);
  if (name) await loadMore();
  if (mine === chosen) loaded.set(true);
}

let chosen = 0; // the choice of a collection that counts; documents of earlier ones come too late
let loading = false;

/** The next stretch of documents. */
export async function loadMore() {
  if (loading) return;
  loading = true;
  const mine = chosen;
  const last = documents.get().at(-1)?.id;
  const after = last ? `&after=${last}` : "";
  /** @type {import("./wire.js").Listed<DocumentOut>} */
  let found;
  try {
    found = await ask(`/v1/documents?collection=${encodeURIComponent(collection.get())}&limit=${AT_ONCE}${after}`);
  } finally {
    if (mine === chosen) loading = false;
  }
  if (mine !== chosen) return;
  more.set(found.has_more);
  documents.set([...documents.get(), ...found.data]);
  for (const each of found.data) if (unfinished(each)) watch(each.id);
}

/** @param {DocumentOut} found whether something is still to come */
const unfinished = (found) => found.status === "queued" || found.status === "processing" || share(found) < 1;

/** @param {DocumentOut} found @returns {number} 0 to 1: the channel that is furthest behind */
export function share(found) {
  if (found.status !== "ready") return 1;
  return Math.min(1, ...Object.values(found.coverage).map(({ done, total }) => (total ? done / total : 1)));
}

/** @param {DocumentOut} changed in its place, or at the end where the end is known */
function place(changed) {
  const list = documents.get();
  const at = list.findIndex((each) => each.id === changed.id);
  if (at >= 0) documents.set(list.with(at, changed));
  else if (!more.get()) documents.set([...list, changed]);
}

/** @param {string} id @returns {Promise<DocumentOut>} */
export async function refresh(id) {
  /** @type {DocumentOut} */
  const found = await ask(`/v1/documents/${id}`);
  if (found.collection === collection.get()) place(found);
  return found;
}

/** @param {Iterable<string>} ids of documents that are no more, or are about to be */
export function forget(ids) {
  const gone = new Set(ids);
  documents.set(documents.get().filter((each) => !gone.has(each.id)));
  scope.set(new Set([...scope.get()].filter((id) => !gone.has(id))));
}

/** How many documents the collections have by now. */
export async function recount() {
  /** @type {import("./wire.js").Listed<import("./wire.js").CollectionOut>} */
  const found = await ask("/v1/collections");
  collections.set(found.data);
}

const EACH_TIME = 8;
/** @type {Set<string>} documents with something still to come */
const watched = new Set();
let watching = false;

/** @param {string} id looked at now and then until nothing is to come */
export async function watch(id) {
  watched.add(id);
  if (watching) return;
  watching = true;
  for (let pause = 1000; watched.size; pause = Math.min(pause * 1.3, 15_000)) {
    await new Promise((resume) => setTimeout(resume, pause));
    for (const next of [...watched].slice(0, EACH_TIME)) {
      watched.delete(next);
      try {
        const before = documents.get().find((each) => each.id === next);
        const found = await refresh(next);
        if (unfinished(found)) watched.add(next); // behind the others
        if (JSON.stringify(found) !== JSON.stringify(before)) pause = 1000;
      } catch (error) {
        if (problemOf(error).code === "offline") watched.add(next);
      }
    }
  }
  watching = false;
}

/**
 * Hand a file in. Resolves when it has been read, or failed.
 * @param {File} file
 * @param {string} name of the collection; empty where there is none yet
 * @param {(news: {taken?: Uploaded, progress?: import("./wire.js").JobProgress}) => void} [told]
 * @returns {Promise<DocumentOut>}
 */
export async function add(file, name, told) {
  const form = new FormData();
  form.set("file", file, file.name);
  const where = name ? `?collection=${encodeURIComponent(name)}` : "";
  /** @type {Uploaded} */
  const uploaded = await ask(`/v1/documents${where}`, { body: form });
  if (!name) await load();
  if (uploaded.document.collection === collection.get()) place(uploaded.document);
  told?.({ taken: uploaded });
  const { id } = uploaded.document;
  if (uploaded.job) await follow(uploaded.job, (progress) => told?.({ progress }));
  const found = await refresh(id);
  if (unfinished(found)) watch(id);
  return found;
}

/**
 * Until the job's documents are ready or have failed; channels that fill in behind are not waited for.
 * @param {string} job
 * @param {(progress: import("./wire.js").JobProgress) => void} [told]
 */
export async function follow(job, told) {
  for await (const [name, data] of events(`/v1/jobs/${job}/events`)) {
    if (name === "document.ready" || name === "document.failed" || name === "job.done") return;
    if (name === "job.progress") told?.(data);
  }
}

/** The sample documents, handed in as files. Resolves when all are read. */
export async function addSamples() {
  const names = new Set((await sampleQuestions()).map((each) => each.document));
  const files = [...names].map(async (name) => {
    const response = await fetch(`/samples/${name}`);
    return new File([await response.blob()], name, { type: "application/pdf" });
  });
  for (const file of await Promise.all(files)) await add(file, collection.get());
}

/** @returns {Promise<{question: string, document: string}[]>} the first question of each sample document */
export async function sampleQuestions() {
  /** @type {{questions: {question: string, document: string | null}[]}} */
  const { questions } = await ask("/samples/questions.json");
  /** @type {Map<string, {question: string, document: string}>} */
  const first = new Map();
  for (const { question, document } of questions) {
    if (document && !first.has(document)) first.set(document, { question, document });
  }
  return [...first.values()];
}

/** @typedef {{q: string, status: string, metadata: Record<string, unknown>}} Filter */

const ALL = Object.freeze({ q: "", status: "", metadata: Object.freeze({}) });

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
let filtering = false;

filter.watch(() => {
  stretch += 1;
  filtering = false;
  if (!isFiltered()) matching.set(null);
  else match([]).catch(tell);
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
async function match(before) {
  if (filtering) return;
  filtering = true;
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
    if (mine === stretch) filtering = false;
  }
}

/** @param {number} last the row that is in sight: documents are loaded up to it, and some more */
export async function reach(last) {
  const shown = matching.get();
  if (shown ? shown.more && shown.items.length < last + AT_ONCE / 2 : more.get() && documents.get().length < last + AT_ONCE / 2) {
    await (shown ? match(shown.items) : loadMore()).catch(() => {});
  }
}

/** Again what the server has. */
export const renew = () => filter.set({ ...filter.get() });
