// Channels of a collection: how far each is, adding one, trying one again, removing one.

import { ask, problemOf } from "./api.js";
import { button, h, toast } from "./dom.js";
import { ask as question } from "./dialog.js";
import { recount } from "./library.js";
import { size } from "./row.js";
import { option } from "./settings.js";

/** @type {Record<string, string>} */
const ABOUT = {
  lexical: "The words on the page, by BM25",
  semantic: "What the words mean",
  visual: "What the page looks like, patch by patch",
  image: "What pictures show, as a whole",
};
const FOLLOW = 2000; // milliseconds until a channel that fills in is looked at again
let planned = 0;

/**
 * @param {string} collection
 * @param {() => void} again called when something has changed
 */
export async function channelRows(collection, again) {
  if (!collection) return [h("p", { class: "quiet" }, "There is no collection yet; the first document makes one.")];
  const path = `/v1/collections/${encodeURIComponent(collection)}/channels`;
  /** @type {import("./wire.js").Listed<import("./wire.js").ChannelOut>} */
  const { data } = await ask(path);
  const there = new Set(data.map((each) => each.name));

  /** @param {() => Promise<unknown>} act */
  const act = (act) => () => act().then(() => (again(), recount()), (error) => toast(problemOf(error).message, undefined, 8000));

  /** @param {import("./wire.js").ChannelOut} found */
  function row(found) {
    const { done, total } = found.coverage;
    const name = found.name.charAt(0).toUpperCase() + found.name.slice(1);
    const about = [ABOUT[found.name], found.encoder && found.name !== "lexical" ? found.encoder : "", found.bytes ? size(found.bytes) : "", found.active ? "" : "being built, not searched yet"].filter(Boolean).join(" · ");
    const state = found.usable
      ? h("span", { class: "meter" }, h("i", { class: "gauge", vars: { part: total ? done / total : 1 } }), `${done.toLocaleString()} of ${total.toLocaleString()}`)
      : h("span", { class: "tag warn" }, "Can’t be used");
    const remove = async () => {
      if (!(await question(`Remove the ${found.name} channel?`, "Its vectors go; the documents stay. Pages are then found by the other channels.", "Remove it"))) return;
      await ask(`${path}/${encodeURIComponent(found.key)}`, { method: "DELETE" });
    };
    return [
      option(name, about, state, !found.usable && button("Try again", act(() => ask(`${path}/${encodeURIComponent(found.key)}/backfill`, { method: "POST" })), { "aria-label": `Try ${found.name} again` }), data.length > 1 && button("Remove", act(remove), { "aria-label": `Remove ${found.name}` })),
      found.problem && h("p", { class: "note warn" }, found.problem),
    ];
  }

  clearTimeout(planned);
  if (data.some(({ usable, coverage }) => usable && coverage.done < coverage.total)) planned = setTimeout(again, FOLLOW);
  const missing = Object.keys(ABOUT).filter((name) => !there.has(name));
  return [
    ...data.flatMap(row),
    ...missing.map((name) => option(name.charAt(0).toUpperCase() + name.slice(1), ABOUT[name], h("span", { class: "quiet" }, "Off"), button("Add", act(() => ask(path, { json: { name } })), { class: "lined", "aria-label": `Add ${name}` }))),
  ];
}
