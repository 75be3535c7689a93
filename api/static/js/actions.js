// What is done to documents: deleting with a while to think better of it, reading again, tags.

import { arrivals } from "./arrivals.js";
import { ask, problemOf } from "./api.js";
import { announce, button, h, put, toast } from "./dom.js";
import { ask as question, form } from "./dialog.js";
import { follow, forget, recount, refresh, watch } from "./library.js";
import { doomed, matching, renew } from "./listing.js";
import { titleOf, view } from "./state.js";
import { editTags } from "./tags.js";
import { close } from "./router.js";
import { some } from "./row.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

const GRACE = 10; // seconds in which a deletion can be taken back
const AT_ONCE = 1000; // documents in one request

/** @param {unknown} error */
const tell = (error) => toast(problemOf(error).message, undefined, 8000);

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

/** @param {string} name of a collection @param {number} documents in it @returns {Promise<boolean>} whether it is gone */
export async function removeCollection(name, documents) {
  const sure = await question(`Delete the collection “${name}”?`, `Its ${some(documents, "document")}, its conversations and everything found in it go with it. This can’t be taken back.`, "Delete it");
  if (!sure) return false;
  try {
    await ask(`/v1/collections/${encodeURIComponent(name)}`, { method: "DELETE" });
    arrivals.set([]);
    return true;
  } catch (error) {
    tell(error);
    return false;
  }
}
