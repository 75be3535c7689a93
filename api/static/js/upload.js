// Ways to hand files in: the dialog of the browser, dropping them anywhere, pasting.

import { h, toast } from "./dom.js";
import { addAll } from "./arrivals.js";

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
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) addAll(files);
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
    const some = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (!some.length) return files;
    files.push(...(await Promise.all(some.map(inside))).flat());
  }
}
