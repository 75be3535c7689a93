// What people say of an answer, or of a page that was found: good, or not.

import { ask } from "./api.js";
import { announce, dress, iconButton, tell } from "./dom.js";

/**
 * @param {string} what an answer, a page
 * @param {{answer: string} | {query: string, document: string, page: number}} about
 */
export function feedback(what, about) {
  /** @param {"up" | "down"} value @param {string} name */
  const vote = (value, name) => iconButton(value, name, () => give(value), { class: "vote", "data-value": value, "aria-pressed": false });
  const both = [vote("up", `Good ${what}`), vote("down", `Bad ${what}`)];

  /** @param {string} value */
  async function give(value) {
    try {
      await ask("/v1/feedback", { json: { ...about, value } });
      for (const each of both) dress(each, { "aria-pressed": each.dataset.value === value });
      announce("Noted.");
    } catch (error) {
      tell(error);
    }
  }
  return both;
}
