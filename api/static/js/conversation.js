// The conversation on the server: made with its first question, told every turn, opened again by its address.

import { ask } from "./api.js";
import { collection } from "./state.js";

/** @typedef {import("./wire.js").ConversationOut} ConversationOut */
/** @typedef {import("./wire.js").ConversationTurns} ConversationTurns */

let id = "";

/** @returns {string} where the conversation is opened again; where a new one begins */
export const home = () => (id ? `/c/${id}` : "/");

/** @returns {Promise<string>} where the next question goes to */
export async function place() {
  if (!id) {
    const json = collection.get() ? { collection: collection.get() } : {};
    /** @type {ConversationOut} */
    const made = await ask("/v1/conversations", { json });
    id = made.id;
    if (location.pathname === "/") history.replaceState(history.state, "", home());
  }
  return `/v1/conversations/${id}/ask`;
}

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
  id = found.id;
  return found;
}
