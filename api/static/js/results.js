// Pages that were found: dealt out beside an answer in order of rank and in their real proportions; listed by a search
// with what each was found by and where on it.

import { ask, imageAddress, pageOf, problemOf, show } from "./api.js";
import { announce, button, dress, h, icon, iconButton, link, note, put, s, tell } from "./dom.js";
import { frame, marker } from "./marks.js";
import { home } from "./conversation.js";
import { addressOf, go, open } from "./router.js";
import { brand, showRail } from "./rail.js";
import { collection, scope, duration, some, titleOf, view } from "./state.js";

/** @typedef {import("./state.js").Cited} Cited */
/** @typedef {import("./wire.js").Hit} Hit */
/** @typedef {import("./wire.js").SearchOut} SearchOut */

const MANY = 24;

/** @param {(question: string) => void} askThis */
export function results(askThis) {
  const input = h("input", { type: "search", "aria-label": "Search", maxlength: 10000, enterkeyhint: "search" });
  const facts = h("p", { class: "facts", role: "status" });
  const list = h("ol", { class: "hits", "aria-label": "Pages that match" });
  const notes = h("div", { class: "after" });
  const form = h("form", { class: "search-bar", role: "search" }, h("div", { class: "narrow" }, brand()), h("div", { class: "field fill" }, icon("search"), input), button("Ask this", () => (input.value.trim() ? askThis(input.value.trim()) : input.focus()), { class: "first" }), iconButton("menu", "Library", () => showRail(true), { class: "narrow" }), iconButton("close", "Close the search", () => go(home())));
  const element = h("section", { class: "room results", "aria-label": "Search results", hidden: true }, form, h("div", { class: "scroll", tabindex: -1 }, facts, list, notes));

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = input.value.trim();
    if (query) go(`/?search=${encodeURIComponent(query)}`);
  });

  /** @param {SearchOut} found */
  function fill(found) {
    const among = new Set(found.hits.map((hit) => hit.document.id)).size;
    const took = found.timings.total ?? 0;
    put(facts, found.hits.length ? h("span", {}, h("b", {}, some(found.hits.length, "page")), ` in ${some(among, "document")}, ${duration(took)}`) : "No page matches.");
    put(list, found.hits.map((hit) => h("li", {}, card(hit, found.query), h("span", { class: "votes" }, feedback("match", { query: found.query, document: hit.document.id, page: hit.page })))));
    put(notes, found.notes.map((words) => note("", words)));
    light();
    announce(`${some(found.hits.length, "page")} found.`);
  }

  const light = () => lightOpen(list);
  view.watch(light);
  let wanted = ""; // the last request; what comes for earlier ones comes too late

  return {
    element,
    focus: () => input.focus(),
    /** @param {string} query @param {boolean} back where it is shown still, it stays, and so does the focus */
    async search(query, back) {
      const json = { query, top_k: MANY, ...(collection.get() && { collection: collection.get() }), ...(scope.get().size && { documents: [...scope.get()] }) };
      const mine = JSON.stringify(json);
      input.value = query;
      if (back && wanted === mine) return;
      wanted = mine;
      put(facts, "Searching");
      try {
        /** @type {SearchOut} */
        const found = await ask("/v1/search", { json });
        if (wanted === mine) fill(found);
      } catch (error) {
        if (wanted !== mine) return;
        wanted = "";
        put(list);
        put(facts);
        put(notes, note("bad", problemOf(error).message));
      }
    },
  };
}

/** @param {Hit} hit @param {string} query */
function card(hit, query) {
  const picture = h("img", { alt: "", decoding: "async" });
  const over = s("svg", { class: "over", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  over.append(...hit.regions.map((each, at) => (each.kind === "similarity" ? frame(each.box) : marker([each.box], at, false))));
  const sheet = h("span", { class: "paper small", vars: { w: 1, h: 1.414 } }, picture, over);
  pageOf(hit.document.id, hit.version, hit.page).then(({ width, height }) => {
    dress(sheet, { vars: { w: width, h: height } });
    const wide = Math.min(264, (280 * width) / height);
    show(picture, imageAddress(hit.document.id, hit.version, hit.page, wide));
  }, () => {});
  const ranks = Object.entries(hit.scores).map(([channel, { rank }]) => h("span", {}, `${channel} `, h("b", {}, ordinal(rank))));
  return link(
    addressOf({ document: hit.document.id, page: hit.page }),
    () => openHit(hit, "search", [], query),
    { class: "hit", "data-page": nameOf(hit) },
    h("span", { class: "well" }, sheet),
    h("span", { class: "top" }, h("b", { class: "fill one-line" }, titleOf(hit.document.filename)), h("span", { class: "quiet small" }, `page ${hit.page}`)),
    h("span", { class: "snippet" }, highlighted(hit.snippet, query)),
    h("span", { class: "ranks" }, ranks),
  );
}

/** @param {number} rank of few */
const ordinal = (rank) => rank + (["th", "st", "nd", "rd"][rank > 20 ? rank % 10 : rank] ?? "th");

/**
 * A snippet with the words of the query marked, inflected ones, too.
 * @param {string} snippet
 * @param {string} query
 * @returns {(Node | string)[]}
 */
function highlighted(snippet, query) {
  const wanted = query.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? [];
  return snippet.split(/([\p{L}\p{N}]+)/u).map((part) => {
    const word = part.toLowerCase();
    const alike = wanted.some((each) => word === each || (Math.min(word.length, each.length) > 3 && Math.abs(word.length - each.length) < 3 && (word.startsWith(each) || each.startsWith(word))));
    return alike ? h("mark", {}, part) : part;
  });
}

const WIDE = 132;
const USUAL = 5;

/** @param {{document: {id: string}, page: number}} hit */
const nameOf = (hit) => `${hit.document.id} ${hit.page}`;

/**
 * @param {string} source the turn
 * @param {() => Cited[]} cited
 * @param {() => string} query
 */
export function strip(source, cited, query) {
  const element = h("ol", { class: "strip", "aria-label": "Pages that were found" });
  /** @type {Map<string, HTMLElement>} */
  const flags = new Map();

  /** @param {Hit} hit @param {number} at */
  function leaf(hit, at) {
    const picture = h("img", { alt: "", decoding: "async" });
    const tabs = h("span", { class: "tabs", "aria-hidden": "true" });
    flags.set(nameOf(hit), tabs);
    const shown = { document: hit.document.id, page: hit.page };
    const made = link(
      addressOf(shown),
      () => openHit(hit, source, cited(), query()),
      {
        class: "leaf",
        title: `${hit.document.filename}, page ${hit.page}`,
        "data-page": nameOf(hit),
        vars: { i: at, w: 1, h: 1.414 },
      },
      h("span", { class: "sheet" }, picture, tabs),
      h("span", { class: "caption" }, h("b", {}, `p. ${hit.page}`), h("span", { class: "one-line" }, titleOf(hit.document.filename))),
    );
    pageOf(hit.document.id, hit.version, hit.page).then(({ width, height }) => {
      dress(made, { vars: { w: width, h: height } });
    }, () => {});
    show(picture, imageAddress(hit.document.id, hit.version, hit.page, WIDE)); // not waiting for its proportions
    return h("li", {}, made);
  }

  return {
    element,
    /** Places for as many as are usually found. */
    wait() {
      const place = () => h("li", { "aria-hidden": "true" }, h("span", { class: "waiting place" }));
      put(element, Array.from({ length: USUAL }, place));
    },
    /** @param {Hit[]} hits */
    deal(hits) {
      flags.clear();
      put(element, hits.map(leaf));
    },
    /** Flags for the citations that are there by now. */
    flag() {
      for (const [name, tabs] of flags) {
        const here = cited().filter((each) => nameOf(each) === name);
        if (tabs.childElementCount !== here.length) put(tabs, here.map((each) => h("i", {}, each.index)));
      }
    },
    /** Which one the viewer shows. */
    light() {
      lightOpen(element);
    },
  };
}

/**
 * @param {Hit} hit
 * @param {string} source
 * @param {Cited[]} cited
 * @param {string} query
 * @param {{quiet?: boolean, pending?: boolean}} [options]
 */
export function openHit(hit, source, cited, query, { quiet = false, pending = false } = {}) {
  const { id: document, filename } = hit.document;
  const current = cited.find((each) => each.document.id === document && each.page === hit.page)?.index ?? 0;
  open({ document, filename, version: hit.version, page: hit.page, cited, current, source, tab: "page", query, hit, pending }, { quiet });
}

/** Which one the viewer shows. @param {HTMLElement} list */
function lightOpen(list) {
  const shown = view.get();
  for (const each of list.querySelectorAll("a")) dress(each, { "aria-current": each.dataset.page === `${shown?.document} ${shown?.page}` });
}

/**
 * What people say of an answer, or of a page that was found: good, or not.
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
