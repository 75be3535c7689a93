// Conversations on the server: made with the first question, told every turn, opened again by their address, deleted.

import { ask } from "./api.js";
import { ask as question } from "./dialog.js";
import { button, h, icon, iconButton, link, put, tell } from "./dom.js";
import { go } from "./router.js";
import { collection } from "./state.js";

/** @typedef {import("./wire.js").ConversationOut} ConversationOut */
/** @typedef {import("./wire.js").ConversationTurns} ConversationTurns */

let id = "";
let about = ""; // the collection that it asks

/** @returns {string} where the conversation is opened again; where a new one begins */
export const home = () => (id ? `/c/${id}` : "/");

/** @returns {Promise<string>} where the next question goes to */
export async function place() {
  if (!id) {
    const json = collection.get() ? { collection: collection.get() } : {};
    /** @type {ConversationOut} */
    const made = await ask("/v1/conversations", { json });
    [id, about] = [made.id, made.collection];
    if (location.pathname === "/") history.replaceState(history.state, "", home());
  }
  return `/v1/conversations/${id}/ask`;
}

/** Whether another collection is chosen by now than the one that this conversation asks. */
export const isElsewhere = () => id !== "" && collection.get() !== about;

/** The next question begins another one. */
export function leave() {
  id = "";
}

/**
 * @param {string} other id
 * @returns {Promise<ConversationTurns | null>} null: it is the one that is open
 */
export async function recall(other) {
  if (other === id) return null;
  /** @type {ConversationTurns} */
  const found = await ask(`/v1/conversations/${encodeURIComponent(other)}`);
  [id, about] = [found.id, found.collection];
  return found;
}

const AT_ONCE = 50;

/**
 * A button and the menu that it opens: conversations that are kept, newest first.
 * @param {() => void} gone called when the one that is open has been deleted
 */
export function earlier(gone) {
  const list = h("ul");
  const menu = h("div", { popover: "auto", id: "earlier", class: "menu earlier", role: "dialog", "aria-label": "Earlier conversations" }, list);
  menu.addEventListener("toggle", () => menu.matches(":popover-open") && (put(list), fill().catch(tell)));

  async function fill(after = "") {
    /** @type {import("./wire.js").Listed<ConversationOut>} */
    const { data, has_more, last_id } = await ask(`/v1/conversations?limit=${AT_ONCE}${after}`);
    list.append(...data.map(row));
    if (!list.childElementCount) put(list, h("li", { class: "quiet" }, "None yet."));
    const more = has_more && h("li", {}, button("Show more", () => (more && more.remove(), fill(`&after=${last_id}`).catch(tell))));
    if (more) list.append(more);
  }

  /** @param {ConversationOut} found */
  function row({ id: other, title, updated, collection }) {
    const name = title || "No answer yet";
    const open = () => (menu.hidePopover(), go(`/c/${other}`));
    const when = new Date(updated).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    return h("li", { "aria-current": other === id }, link(`/c/${other}`, open, {}, h("span", { class: "one-line" }, name), h("small", {}, `${when}, ${collection}`)), iconButton("close", `Delete “${name}”`, () => remove(other, name)));
  }

  /** @param {string} other @param {string} name */
  async function remove(other, name) {
    if (!(await question("Delete this conversation?", `“${name}”. Its documents stay.`, "Delete it"))) return;
    await ask(`/v1/conversations/${other}`, { method: "DELETE" }).then(() => other === id && gone(), tell);
  }
  return [h("button", { type: "button", class: "button square", popovertarget: menu.id, "aria-label": "Earlier conversations", title: "Earlier conversations" }, icon("past")), menu];
}
