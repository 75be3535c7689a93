// Settings: what answers, how pages are found, who may ask from elsewhere, how this page looks.

import { ask, key, problemOf, setKey } from "./api.js";
import { ask as question, form } from "./dialog.js";
import { button, copy, h, icon, iconButton, note, put, tabList, tell } from "./dom.js";
import { recount } from "./library.js";
import { SECTIONS, brand, showRail } from "./rail.js";
import { size } from "./row.js";
import { capital, collection, room } from "./state.js";
import { setTheme, theme } from "./theme.js";

/** @typedef {import("./wire.js").StatusOut} StatusOut */

export function settings() {
  const models = h("div");
  const channels = h("div");
  const keys = h("div");
  const connect = snippets();
  const element = h(
    "section",
    { class: "room settings", "aria-label": "Settings" },
    h("div", { class: "bar narrow" }, brand(), h("span", { class: "fill" }), iconButton("menu", "Sections", () => showRail(true))),
    h(
      "div",
      { class: "scroll" },
      h(
        "div",
        { class: "set" },
        section("models", "The model that reads the pages and writes the answer. Searching needs none.", models),
        section("channels", "Ways of finding pages. Each fills in on its own; all that are there are used together.", channels),
        section("keys", "For programs, and for people on other machines. A key is shown once, when it is made.", keys),
        section("connect", "The address below is this server’s.", connect.element),
        section("look", "Kept in this browser.", appearance(), ...(key() ? [signOut()] : [])),
      ),
    ),
  );

  /** @param {HTMLElement} target @param {() => Promise<import("./dom.js").Child[]>} rows */
  async function fill(target, rows) {
    if (!target.childElementCount) put(target, waiting(), waiting());
    try {
      put(target, ...(await rows()));
    } catch (error) {
      put(target, note("", problemOf(error).message, button("Try again", () => fill(target, rows))));
    }
  }

  function load() {
    if (room.get() !== "settings") return;
    fill(models, modelRows);
    fill(channels, () => channelRows(collection.get(), load));
    fill(keys, () => keyRows(load));
    connect.fill(collection.get());
  }
  room.watch(load);
  collection.watch(load);
  return element;
}

/** @param {string} id @param {string} about @param {...HTMLElement} content */
function section(id, about, ...content) {
  const name = SECTIONS.find(([each]) => each === id)?.[1] ?? "";
  return h("section", { id: `set-${id}`, "aria-labelledby": `set-${id}-name` }, h("h2", { id: `set-${id}-name`, tabindex: -1 }, name), h("p", { class: "about" }, about), ...content);
}

const waiting = () => h("div", { class: "option" }, h("span", { class: "waiting line", vars: { wide: "180px" } }));

/**
 * @param {import("./dom.js").Child} name
 * @param {import("./dom.js").Child} about
 * @param {...import("./dom.js").Child} end
 */
const option = (name, about, ...end) => h("div", { class: "option" }, h("div", { class: "fill" }, h("b", {}, name), h("small", {}, about)), ...end);

async function modelRows() {
  /** @type {StatusOut} */
  const found = await ask("/v1/status");
  const { id, reason } = found.model;
  const none = id === "extractive";
  return [
    option(none ? "Extractive" : id, none ? "Built in. Quotes sentences and writes none." : reason, h("span", { class: "quiet" }, "Answers questions")),
    none && option("A vision-language model", h("code", {}, "FOLIOSCOPE_MODEL=ollama:qwen3-vl:8b folioscope serve"), h("span", { class: "tag" }, "Not set")),
    option("Reading scans", found.ocr === "off" ? "Off: pages without a text layer are found by what they look like alone" : `By ${found.ocr}`, h("span", { class: "quiet" }, found.ocr === "off" ? "Off" : "Ready")),
    option("Server", `Folioscope ${found.version}, ${found.database}, ${found.vectors} vectors, ${size(found.disk_free)} free`, h("span", { class: "quiet" }, found.backlog.documents ? `${found.backlog.documents} to read` : "Nothing waits")),
    found.fault && note("bad", found.fault.message),
  ];
}

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
async function channelRows(collection, again) {
  if (!collection) return [h("p", { class: "quiet" }, "There is no collection yet; the first document makes one.")];
  const path = `/v1/collections/${encodeURIComponent(collection)}/channels`;
  /** @type {import("./wire.js").Listed<import("./wire.js").ChannelOut>} */
  const { data } = await ask(path);
  const there = new Set(data.map((each) => each.name));

  /** @param {() => Promise<unknown>} act */
  const act = (act) => () => act().then(() => (again(), recount()), tell);

  /** @param {import("./wire.js").ChannelOut} found */
  function row(found) {
    const { done, total } = found.coverage;
    const name = capital(found.name);
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
      found.problem && note("warn", found.problem),
    ];
  }

  clearTimeout(planned);
  if (data.some(({ usable, coverage }) => usable && coverage.done < coverage.total)) planned = setTimeout(again, FOLLOW);
  const missing = Object.keys(ABOUT).filter((name) => !there.has(name));
  return [
    ...data.flatMap(row),
    ...missing.map((name) => option(capital(name), ABOUT[name], h("span", { class: "quiet" }, "Off"), button("Add", act(() => ask(path, { json: { name } })), { class: "lined", "aria-label": `Add ${name}` }))),
  ];
}

/** @type {Record<string, string>} */
const SCOPES = { read: "Search and ask", write: "Add and delete documents, too", admin: "Everything" };

/** @param {string} time */
const day = (time) => new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });

/** @param {() => void} again called when something has changed */
async function keyRows(again) {
  /** @type {import("./wire.js").Listed<import("./wire.js").KeyOut>} */
  const { data } = await ask("/v1/keys");
  const rows = data.filter(({ revoked }) => !revoked).map((found) => {
    const about = `${found.id} · made ${day(found.created)}${found.expires ? ` · ${found.valid ? "until" : "expired"} ${day(found.expires)}` : ""}${found.collections ? ` · ${found.collections.length} of the collections` : ""}`;
    return option(found.name, about, h("span", { class: "quiet" }, SCOPES[found.scope] ?? found.scope), button("Revoke", () => revoke(found).then(again, tell), { "aria-label": `Revoke ${found.name}` }));
  });
  return [...rows, !rows.length && h("p", { class: "quiet option" }, key() ? "No key yet." : "No key yet. On this machine none is needed."), button("New key", () => make(again), { class: "lined" }, icon("add"))];
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

function snippets() {
  const code = h("code", { tabindex: 0 });
  const panel = h("div", { class: "paste", role: "tabpanel", "aria-label": "Snippet" }, h("pre", {}, code), iconButton("copy", "Copy the snippet", () => copy(code.textContent ?? "")));
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

function appearance() {
  const names = [["system", "As the system"], ["light", "Light"], ["dark", "Dark"]];
  const boxes = names.map(([value, name]) => {
    const box = h("input", { type: "radio", name: "theme", value, checked: theme() === value });
    box.addEventListener("change", () => setTheme(value ?? "system"));
    return h("label", {}, box, name);
  });
  return h("fieldset", { class: "option choice" }, h("legend", { class: "hidden-text" }, "Theme"), h("b", { class: "fill", "aria-hidden": "true" }, "Theme"), ...boxes);
}

function signOut() {
  return option("Key", "This browser sends a key with every request.", button("Sign out", () => (setKey(""), location.reload()), { class: "lined" }));
}
