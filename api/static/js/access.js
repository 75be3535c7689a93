// How others reach this server: API keys, shown once when they are made, and what to paste into programs.

import { ask, key } from "./api.js";
import { ask as question, form } from "./dialog.js";
import { button, copy, h, icon, iconButton, put, tabList, tell } from "./dom.js";
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
    return option(found.name, about, h("span", { class: "quiet" }, SCOPES[found.scope] ?? found.scope), button("Revoke", () => revoke(found).then(again, tell), { "aria-label": `Revoke ${found.name}` }));
  });
  return [...rows, !rows.length && h("p", { class: "quiet option" }, "No key yet. On this machine none is needed."), button("New key", () => make(again), { class: "lined" }, icon("add"))];
}

/** @param {import("./wire.js").KeyOut} found */
async function revoke(found) {
  const sure = await question(`Revoke the key “${found.name}”?`, "Whoever uses it is refused from now on.", "Revoke it");
  if (sure) await ask(`/v1/keys/${found.id}`, { method: "DELETE" });
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

const QUESTION = "What dividend does the board propose?";

/** @param {string} collection @returns {Record<string, string>} */
function texts(collection) {
  const base = location.origin;
  const model = collection ? `docs/${collection}` : "docs";
  const secret = key() ? "fol_…" : "none";
  const header = key() ? ' -H "Authorization: Bearer fol_…"' : "";
  const headers = key() ? { headers: { Authorization: "Bearer fol_…" } } : {};
  const mcp = { mcpServers: { folioscope: { type: "http", url: `${base}/mcp`, ...headers } } };
  return {
    "OpenAI client": [
      "from openai import OpenAI",
      "",
      `client = OpenAI(base_url="${base}/v1", api_key="${secret}")`,
      "answer = client.chat.completions.create(",
      `    model="${model}",`,
      `    messages=[{"role": "user", "content": "${QUESTION}"}],`,
      ")",
      "print(answer.choices[0].message.content)",
    ].join("\n"),
    MCP: JSON.stringify(mcp, null, 2),
    curl: `curl ${base}/v1/ask${header} --json '{"question": "${QUESTION}"${collection ? `, "collection": "${collection}"` : ""}}'`,
  };
}

export function snippets() {
  const code = h("code", { tabindex: 0 });
  const panel = h("div", { class: "snippet", role: "tabpanel", "aria-label": "Snippet" }, h("pre", {}, code), iconButton("copy", "Copy the snippet", () => copy(code.textContent ?? "")));
  const tabs = tabList("Client", Object.fromEntries(Object.keys(texts("")).map((name) => [name, name])), choose);
  const element = h("div", {}, tabs.element, panel);
  let all = texts("");

  /** @param {string} name */
  function choose(name) {
    put(code, all[name] ?? "");
    tabs.show(name);
  }
  return {
    element,
    /** @param {string} collection */
    fill(collection) {
      all = texts(collection);
      choose("OpenAI client");
    },
  };
}
