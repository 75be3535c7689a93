// What is done to documents: deleting with a while to think better of it, reading again, tags; and to collections.

import { arrivals } from "./arrivals.js";
import { ask } from "./api.js";
import { announce, button, h, iconButton, put, tell, toast } from "./dom.js";
import { ask as question, form } from "./dialog.js";
import { choose, doomed, follow, forget, load, matching, recount, refresh, renew, watch } from "./library.js";
import { collection, collections, some, titleOf, view } from "./state.js";
import { close } from "./router.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

const GRACE = 10; // seconds in which a deletion can be taken back
const AT_ONCE = 1000; // documents in one request

/**
 * Not shown any more at once, deleted after a while. Nothing is sent before, so who leaves the page keeps them.
 * @param {DocumentOut[]} chosen
 */
export function remove(chosen) {
  if (!chosen.length) return;
  const ids = chosen.map((each) => each.id);
  const what = chosen.length === 1 ? `“${titleOf(chosen[0]?.filename ?? "")}”` : some(chosen.length, "document");
  doomed.set(new Set([...doomed.get(), ...ids]));
  if (ids.includes(view.get()?.document ?? "")) close();
  const spare = () => doomed.set(new Set([...doomed.get()].filter((id) => !ids.includes(id))));

  const left = h("span");
  const box = h("div", { class: "plate undo" }, left, button("Undo", () => (end(), spare(), announce(`${what} is kept.`))));
  let seconds = GRACE;
  const say = () => put(left, `Deleting ${what} in ${seconds} s. Leave the page and nothing is deleted.`);
  const clock = setInterval(() => {
    if (box.matches(":hover, :focus-within")) return; // somebody is deciding
    seconds -= 1;
    say();
    if (seconds > 0) return;
    end();
    erase(ids, spare);
  }, 1000);
  const end = () => (clearInterval(clock), box.remove());
  say();
  announce(`Deleting ${what} in ${GRACE} seconds. Undo stands at the end of the page.`);
  place().append(box);
}

/** Where deletions that run wait, one above the other. */
function place() {
  const there = document.querySelector(".undos");
  if (there) return there;
  const made = h("div", { class: "undos" });
  document.body.append(made);
  return made;
}

/** @param {string[]} ids @param {() => void} spare show them again */
async function erase(ids, spare) {
  try {
    for (let at = 0; at < ids.length; at += AT_ONCE) await ask("/v1/documents/delete", { json: { documents: ids.slice(at, at + AT_ONCE) } });
    const shown = matching.get();
    if (shown) matching.set({ ...shown, items: shown.items.filter((each) => !ids.includes(each.id)) });
    forget(ids);
    await recount();
    announce("Deleted.");
  } catch (error) {
    tell(error);
  }
  spare();
}

/** @param {DocumentOut[]} chosen are read again from their originals; they stay searchable as they are until then */
export async function renewAll(chosen) {
  toast(`Reading ${chosen.length === 1 ? titleOf(chosen[0]?.filename ?? "") : some(chosen.length, "document")} again; until then the old version is searched.`);
  for (const each of chosen) await reread(each, {}).catch(tell);
}

/** @param {DocumentOut} found that could not be read */
export async function tryAgain(found) {
  if (found.error?.code !== "document_encrypted") return reread(found, {}).catch(tell);
  const input = h("input", { type: "password", name: "password", autocomplete: "off", required: true, "aria-label": "Password" });
  const sent = await form("This document needs its password", h("p", { class: "quiet" }, titleOf(found.filename)), h("div", { class: "field" }, input), "Read it");
  if (sent) reread(found, { password: `${sent.get("password")}` }).catch(tell);
}

/** @param {DocumentOut} found @param {{password?: string}} json */
async function reread(found, json) {
  /** @type {import("./wire.js").Resubmitted} */
  const made = await ask(`/v1/documents/${found.id}/reingest`, { json });
  await refresh(found.id);
  follow(made.job).then(() => refresh(found.id)).then(({ id }) => (watch(id), renew()), () => {});
}

/** @param {import("./arrivals.js").Arrival} arrival whose pages are not to be read to the end */
export async function stop(arrival) {
  try {
    await ask(`/v1/jobs/${arrival.job}/cancel`, { method: "POST" });
  } catch (error) {
    tell(error);
  }
}

/** @param {string} text @returns {string | number | boolean} */
function valueOf(text) {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text) ? Number(text) : text;
}

/**
 * @param {DocumentOut[]} chosen of one all tags are shown; to several the same ones are added
 * @returns {Promise<Record<string, unknown> | null>} null: nothing is to change
 */
async function editTags(chosen) {
  const [one] = chosen;
  if (!one) return null;
  const before = chosen.length === 1 ? one.metadata : {};
  const rows = h("div", { class: "tag-rows" });
  const add = (name = "", value = /** @type {unknown} */ ("")) => {
    const first = h("input", { name: "name", value: name, placeholder: "Name", "aria-label": "Name", maxlength: 64 });
    const row = h("div", { class: "row" }, h("div", { class: "field" }, first), h("div", { class: "field fill" }, h("input", { name: "value", value: `${value}`, placeholder: "Value", "aria-label": "Value" })), iconButton("close", `Remove ${name || "this tag"}`, () => row.remove()));
    rows.append(row);
    return first;
  };
  for (const [name, value] of Object.entries(before)) add(name, value);
  add();
  const words = chosen.length === 1 ? titleOf(one.filename) : `Added to ${some(chosen.length, "document")}; a tag of the same name gets the new value.`;
  const sent = await form("Tags", h("p", { class: "quiet" }, words), rows, button("Another", () => add().focus(), { class: "lined" }), "Save");
  if (!sent) return null;
  const values = sent.getAll("value");
  const pairs = sent.getAll("name").map((name, at) => [`${name}`.trim(), `${values[at] ?? ""}`.trim()]);
  return Object.fromEntries(pairs.filter(([name]) => name).map(([name, value]) => [name, name && `${before[name]}` === value ? before[name] : value === "" ? true : valueOf(value ?? "")]));
}

/** @param {DocumentOut[]} chosen */
export async function tagAll(chosen) {
  const changed = await editTags(chosen);
  if (!changed) return;
  for (const each of chosen) {
    const metadata = chosen.length === 1 ? changed : { ...each.metadata, ...changed };
    await ask(`/v1/documents/${each.id}`, { method: "PATCH", json: { metadata } }).then(() => refresh(each.id), tell);
  }
  renew();
}

const NAME = "[\\p{L}\\p{N}][\\p{L}\\p{N}_.\\-]{0,63}";

/** @param {string} title @param {string} value @param {string} word */
async function named(title, value, word) {
  const input = h("input", { name: "name", value, required: true, pattern: NAME, maxlength: 64, autocomplete: "off", "aria-label": "Name", title: "Letters, digits, dots, hyphens and underscores; it begins with a letter or a digit." });
  const sent = await form(title, h("div", { class: "field" }, input), h("p", { class: "quiet small" }, "Letters, digits, dots, hyphens, underscores."), word);
  return sent ? `${sent.get("name")}`.trim() : "";
}

/** @param {() => Promise<unknown>} act */
const tried = (act) => act().catch(tell);

export const newCollection = () =>
  tried(async () => {
    const name = await named("A new collection", "", "Make it");
    if (!name) return;
    await ask("/v1/collections", { json: { name } });
    await recount();
    await choose(name);
  });

/** @param {import("./dialog.js").Menu} menu @param {HTMLElement} from */
export function collectionMenu(menu, from) {
  const name = collection.get();
  const documents = collections.get().find((each) => each.name === name)?.documents ?? 0;
  menu.open(from, [
    ["Rename", () => tried(async () => {
      const next = await named("Rename the collection", name, "Rename");
      if (!next || next === name) return;
      await ask(`/v1/collections/${encodeURIComponent(name)}`, { method: "PATCH", json: { name: next } });
      await recount();
      await choose(next);
    })],
    ["Delete collection", () => tried(async () => {
      if (!(await question(`Delete the collection “${name}”?`, `Its ${some(documents, "document")}, its conversations and everything found in it go with it. This can’t be taken back.`, "Delete it"))) return;
      await ask(`/v1/collections/${encodeURIComponent(name)}`, { method: "DELETE" });
      arrivals.set([]);
      await load();
    })],
  ]);
}
