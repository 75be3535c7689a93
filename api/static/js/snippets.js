// How programs reach this server: what to paste, with its address.

import { button, copy, dress, h, iconButton, put } from "./dom.js";
import { key } from "./api.js";

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
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Client" });
  const element = h("div", {}, tabs, panel);
  /** @type {Record<string, string>} */
  let all = texts("");
  let chosen = "OpenAI client";

  /** @param {string} name */
  function choose(name) {
    chosen = name;
    put(code, all[name] ?? "");
    for (const tab of tabs.children) dress(tab, { "aria-selected": tab.textContent === name, tabindex: tab.textContent === name ? 0 : -1 });
  }
  put(tabs, Object.keys(all).map((name) => button(name, () => choose(name), { role: "tab" })));
  tabs.addEventListener("keydown", (event) => {
    const names = Object.keys(all);
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    choose(names.at((names.indexOf(chosen) + step) % names.length) ?? chosen);
    /** @type {HTMLElement | null} */ (tabs.querySelector('[aria-selected="true"]'))?.focus();
  });
  return {
    element,
    /** @param {string} collection */
    fill(collection) {
      all = texts(collection);
      choose(chosen);
    },
  };
}
