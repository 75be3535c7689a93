// API keys: which there are, making one, which is shown this once, taking one back.

import { ask, problemOf } from "./api.js";
import { button, copy, h, icon, iconButton, toast } from "./dom.js";
import { ask as question, form } from "./dialog.js";
import { option } from "./settings.js";

/** @type {Record<string, string>} */
const SCOPES = { read: "Search and ask", write: "Add and delete documents, too", admin: "Everything" };

/** @param {string} time */
const day = (time) => new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });

/** @param {() => void} again called when something has changed */
export async function keyRows(again) {
  /** @type {import("./wire.js").Listed<import("./wire.js").KeyOut>} */
  const { data } = await ask("/v1/keys");
  const rows = data.filter(({ revoked }) => !revoked).map((found) => {
    const about = `${found.id} · made ${day(found.created)}${found.expires ? ` · ${found.valid ? "until" : "expired"} ${day(found.expires)}` : ""}${found.collections ? ` · ${found.collections.length} of the collections` : ""}`;
    return option(found.name, about, h("span", { class: "quiet" }, SCOPES[found.scope] ?? found.scope), button("Revoke", () => revoke(found).then((done) => done && again()), { "aria-label": `Revoke ${found.name}` }));
  });
  return [...rows, !rows.length && h("p", { class: "quiet option" }, "No key yet. On this machine none is needed."), button("New key", () => make(again), { class: "lined" }, icon("add"))];
}

/** @param {unknown} error */
const tell = (error) => (toast(problemOf(error).message, undefined, 8000), false);

/** @param {import("./wire.js").KeyOut} found */
async function revoke(found) {
  if (!(await question(`Revoke the key “${found.name}”?`, "Whoever uses it is refused from now on.", "Revoke it"))) return false;
  return ask(`/v1/keys/${found.id}`, { method: "DELETE" }).then(() => true, tell);
}

/** @param {() => void} again */
async function make(again) {
  const name = h("input", { name: "name", required: true, maxlength: 64, autocomplete: "off", placeholder: "What it is for", "aria-label": "What it is for" });
  const scopes = Object.entries(SCOPES).map(([value, words]) => h("label", {}, h("input", { type: "radio", name: "scope", value, checked: value === "read" }), words));
  const sent = await form("A new key", h("div", { class: "field" }, name), h("fieldset", { class: "choices" }, h("legend", { class: "small quiet" }, "It may"), ...scopes), "Make it");
  if (!sent) return;
  try {
    /** @type {import("./wire.js").MadeKey} */
    const made = await ask("/v1/keys", { json: { name: sent.get("name"), scope: sent.get("scope") } });
    again();
    const shown = h("input", { class: "secret", value: made.key, readonly: true, "aria-label": "The key" });
    await form("Keep this key now", h("p", { class: "quiet" }, "It is not shown again: the server keeps only what it needs to recognise it."), h("div", { class: "field" }, shown, iconButton("copy", "Copy the key", () => copy(made.key))), "I have it");
  } catch (error) {
    tell(error);
  }
}
