// Tags: what is known of a document beside its pages, as names with values.

import { button, h, iconButton } from "./dom.js";
import { form } from "./dialog.js";
import { some } from "./row.js";
import { titleOf } from "./state.js";

/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

/** @param {string} text @returns {string | number | boolean} */
function valueOf(text) {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text) ? Number(text) : text;
}

/**
 * @param {DocumentOut[]} chosen of one all tags are shown; to several the same ones are added
 * @returns {Promise<Record<string, unknown> | null>} null: nothing is to change
 */
export async function editTags(chosen) {
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
