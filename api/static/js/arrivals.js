// Files that are handed in, chosen, dropped or pasted: how far each has come, what became of it, trying again.

import { problemOf } from "./api.js";
import { announce, h, toast } from "./dom.js";
import { add, recount } from "./library.js";
import { collection, room, signal, some } from "./state.js";

const LANES = 3; // files on their way at once
const TRIES = 5; // of a server that is busy

/**
 * A file from the moment it is handed in until its document is ready or somebody has seen what went wrong.
 * @typedef {object} Arrival
 * @property {File} file
 * @property {string} collection that was chosen when it was handed in; empty where there was none
 * @property {"waiting" | "sending" | "reading" | "same" | "refused"} phase `same`: its bytes were here already
 * @property {import("./wire.js").DocumentOut} [document]
 * @property {import("./wire.js").Progress} [pages] read of those that are known so far
 * @property {string} [job]
 * @property {string} [message] why it was refused
 */

export const arrivals = signal(/** @type {readonly Arrival[]} */ ([]));

/** @param {Arrival} one @param {Partial<Arrival>} changes @returns {Arrival} */
function change(one, changes) {
  const next = { ...one, ...changes };
  arrivals.set(arrivals.get().map((each) => (each === one ? next : each)));
  return next;
}

/** @param {Arrival} one that needs to be shown no longer */
export const dismiss = (one) => arrivals.set(arrivals.get().filter((each) => each !== one));

/** @param {Arrival} one */
export function again(one) {
  dismiss(one);
  return addAll([one.file], one.collection);
}

/**
 * Files that a person hands in; what is refused is said, the others go on.
 * @param {File[]} files
 * @param {string} [into] a collection
 */
async function addAll(files, into = collection.get()) {
  if (!files.length) return;
  const queue = files.map((file) => /** @type {Arrival} */ ({ file, collection: into, phase: "waiting" }));
  arrivals.set([...arrivals.get(), ...queue]);
  announce(`Adding ${some(files.length, "file")}.`);
  let ready = 0;
  const lane = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (!arrivals.get().includes(next)) continue; // left out meanwhile
      const came = await one(next);
      ready += came;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  if (ready) announce(`Ready: ${some(ready, "document")}.`);
  recount().catch(() => {});
}

/** @param {Arrival} arrival @returns {Promise<number>} 1 where it became a document that can be asked */
async function one(arrival) {
  let now = change(arrival, { phase: "sending" });
  try {
    const found = await patiently(() =>
      add(now.file, now.collection, ({ taken, progress }) => {
        if (taken) now = change(now, { document: taken.document, phase: taken.duplicate ? "same" : "reading", job: taken.job ?? "" });
        if (progress) now = change(now, { pages: progress.pages });
      }),
    );
    if (now.phase === "same") return quiet(`${now.file.name} is here already; nothing was added.`);
    dismiss(now);
    if (found.status === "failed") return quiet(`${now.file.name}: ${found.error?.message ?? "it could not be read."}`);
    return 1;
  } catch (error) {
    now = change(now, { phase: "refused", message: problemOf(error).message });
    return quiet(`${now.file.name}: ${now.message}`);
  }
}

/**
 * Where the library is shown its rows say it.
 * @param {string} words
 */
function quiet(words) {
  if (room.get() === "library") announce(words);
  else toast(words);
  return 0;
}

/** @template Out @param {() => Promise<Out>} attempt again after a while where the server has too much to do @returns {Promise<Out>} */
async function patiently(attempt) {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (problemOf(error).code !== "rate_limited" || tries === TRIES) throw error;
      await new Promise((resume) => setTimeout(resume, 1000 * 2 ** tries));
    }
  }
}

/** Let a person choose files. */
export function pickFiles() {
  const input = h("input", { type: "file", multiple: true });
  input.addEventListener("change", () => addAll([...(input.files ?? [])]));
  input.click();
}

/** Take what is dropped or pasted anywhere on the page. */
export function takeFiles() {
  const cover = h("div", { class: "drop", hidden: true }, h("h2", {}, "Drop to add"), h("p", { class: "quiet" }, "PDFs, scans, photos; folders, too."));
  document.body.append(cover);
  let depth = 0;
  const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragenter", (event) => {
    if (carries(event)) cover.hidden = ++depth < 1;
  });
  addEventListener("dragleave", (event) => {
    if (carries(event)) cover.hidden = --depth < 1;
  });
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    cover.hidden = true;
    addAll(await filesOf(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const { clipboardData: board, target } = event;
    // Cells of a table come as words and as a picture of them.
    const isText = board?.types.includes("text/plain") && target instanceof Element && target.closest("input, textarea");
    if (!isText) addAll([...(board?.files ?? [])]);
  });
}

/**
 * Files and those inside folders.
 * @param {DataTransfer | null} dropped
 * @returns {Promise<File[]>}
 */
async function filesOf(dropped) {
  // The entries must be taken before anything is awaited: the list is emptied with the event.
  const entries = [...(dropped?.items ?? [])].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = (await Promise.all(entries.map(inside))).flat();
  if (!files.length) toast("There was no file among it.");
  return files;
}

/** @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function inside(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) {
    return [await new Promise((found, failed) => /** @type {FileSystemFileEntry} */ (entry).file(found, failed))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    /** @type {FileSystemEntry[]} a hundred at most */
    const stretch = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (!stretch.length) return files;
    files.push(...(await Promise.all(stretch.map(inside))).flat());
  }
}
