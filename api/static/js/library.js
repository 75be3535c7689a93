// Collections and documents as they are on the server: loading them, handing files in, following what is read.

import { ask, events, isAbort, problemOf } from "./api.js";
import { announce, toast } from "./dom.js";
import { collection, collections, documents, loaded, model, more, scope } from "./state.js";

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
  collection.set(name);
  scope.set(new Set());
  documents.set([]);
  more.set(false);
  if (name) await loadMore();
  loaded.set(true);
}

let loading = false;

/** The next stretch of documents. */
export async function loadMore() {
  if (loading) return;
  loading = true;
  try {
    const name = collection.get();
    const last = documents.get().at(-1)?.id;
    const after = last ? `&after=${last}` : "";
    /** @type {import("./wire.js").Listed<DocumentOut>} */
    const found = await ask(`/v1/documents?collection=${encodeURIComponent(name)}&limit=${AT_ONCE}${after}`);
    if (collection.get() !== name) return;
    more.set(found.has_more);
    documents.set([...documents.get(), ...found.data]);
    for (const each of found.data) if (unfinished(each)) watch(each.id);
  } finally {
    loading = false;
  }
}

/** @param {DocumentOut} found whether something is still to come */
export const unfinished = (found) => found.status === "queued" || found.status === "processing" || share(found) < 1;

/** @param {DocumentOut} found @returns {number} 0 to 1: the channel that is furthest behind */
export function share(found) {
  if (found.status !== "ready") return 1;
  return Math.min(1, ...Object.values(found.coverage).map(({ done, total }) => (total ? done / total : 1)));
}

/** @param {DocumentOut} changed in its place, or at the end */
function place(changed) {
  const list = documents.get();
  const at = list.findIndex((each) => each.id === changed.id);
  documents.set(at < 0 ? [...list, changed] : list.with(at, changed));
}

/** @param {string} id @returns {Promise<DocumentOut>} */
export async function refresh(id) {
  /** @type {DocumentOut} */
  const found = await ask(`/v1/documents/${id}`);
  if (found.collection === collection.get()) place(found);
  return found;
}

/** @type {Set<string>} */
const watched = new Set();

/** @param {string} id looked at now and then until nothing is to come */
async function watch(id) {
  if (watched.has(id)) return;
  watched.add(id);
  try {
    let before = "";
    for (let pause = 1000; ; pause = Math.min(pause * 1.3, 15_000)) {
      await new Promise((resume) => setTimeout(resume, pause));
      const found = await refresh(id);
      if (!unfinished(found)) return;
      const now = JSON.stringify(found.coverage);
      if (now !== before) pause = 1000;
      before = now;
    }
  } catch (error) {
    if (!isAbort(error)) problemOf(error);
  } finally {
    watched.delete(id);
  }
}

/**
 * Hand a file in. Resolves when it has been read, or failed.
 * @param {File} file
 * @param {(document: DocumentOut) => void} [taken] told when the server has it
 * @returns {Promise<DocumentOut>}
 */
export async function add(file, taken) {
  const form = new FormData();
  form.set("file", file, file.name);
  const name = collection.get();
  const where = name ? `?collection=${encodeURIComponent(name)}` : "";
  /** @type {Uploaded} */
  const uploaded = await ask(`/v1/documents${where}`, { body: form });
  if (!name) await load();
  place(uploaded.document);
  taken?.(uploaded.document);
  if (uploaded.job) await follow(uploaded.job, uploaded.document.id);
  const found = await refresh(uploaded.document.id);
  if (unfinished(found)) watch(found.id);
  return found;
}

/**
 * Until the document is ready or has failed; channels that fill in behind are not waited for.
 * @param {string} job
 * @param {string} id
 */
async function follow(job, id) {
  for await (const [name, data] of events(`/v1/jobs/${job}/events`)) {
    if (name === "document.ready" || name === "document.failed" || data.state === "cancelled") return;
    await refresh(id);
  }
}

/**
 * Files that a person hands in; what is refused is said, the others go on.
 * @param {File[]} files
 */
export async function addAll(files) {
  let ready = 0;
  const one = async (/** @type {File} */ file) => {
    try {
      const found = await add(file);
      if (found.status === "failed") toast(`${file.name}: ${found.error?.message ?? "it could not be read."}`, undefined, 8000);
      else ready += 1;
    } catch (error) {
      toast(`${file.name}: ${problemOf(error).message}`, undefined, 8000);
    }
  };
  const queue = [...files];
  const lane = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) await one(file);
  };
  announce(`Adding ${files.length === 1 ? files[0]?.name : `${files.length} files`}.`);
  await Promise.all([lane(), lane(), lane()]);
  if (ready) announce(`${ready === 1 ? "1 document is" : `${ready} documents are`} ready.`);
}

/** The sample documents, handed in as files. Resolves when all are read. */
export async function addSamples() {
  const names = new Set((await sampleQuestions()).map((each) => each.document));
  const files = [...names].map(async (name) => {
    const response = await fetch(`/samples/${name}`);
    return new File([await response.blob()], name, { type: "application/pdf" });
  });
  for (const file of await Promise.all(files)) await add(file);
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
