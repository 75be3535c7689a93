// An answer as it is written: paragraphs, list items, strong words and code, nothing else, for a model can't write a link;
// citations: the chip, the words for how a quote stands on its page, what is copied of it.

import { h, icon, link } from "./dom.js";
import { addressOf, open } from "./router.js";
import { lit, titleOf, view } from "./state.js";

/** @typedef {import("./state.js").Cited} Cited */
/** @typedef {import("./wire.js").QuoteStatus} QuoteStatus */

/** @type {Record<QuoteStatus, {words: string, drawing: "check" | "near" | "eye" | "alert"}>} */
const VERDICTS = {
  exact: { words: "Word for word", drawing: "check" },
  fuzzy: { words: "Close match", drawing: "near" },
  visual: { words: "Seen, not read", drawing: "eye" },
  unverified: { words: "Not found", drawing: "alert" },
};

/** @param {QuoteStatus} status */
export function verdict(status) {
  const { words, drawing } = VERDICTS[status];
  return h("span", { class: `verdict ${status}`, title: words }, icon(drawing), h("span", { class: "words" }, words));
}

/** @param {Cited} cited */
const linkTo = (cited) => addressOf({ document: cited.document.id, page: cited.page, cited: [cited], current: cited.index });

/** @param {Cited} cited */
export const sourceOf = (cited) => `${titleOf(cited.document.filename)}, page ${cited.page}`;

/**
 * A link that opens the page there. While it has the pointer or the focus its words are lit.
 * @param {Cited} cited
 * @param {string} source the turn it belongs to
 * @param {() => Cited[]} siblings all of the turn
 */
export function chip(cited, source, siblings) {
  const { index } = cited;
  const light = () => lit.set({ source, index });
  const dim = () => lit.set(null);
  return link(
    linkTo(cited),
    () => openCitation(cited, source, siblings()),
    {
      class: `cite ${cited.quote_status}`,
      "aria-label": `Citation ${index}, ${sourceOf(cited)}, ${VERDICTS[cited.quote_status].words.toLowerCase()}`,
      "data-cite": index,
      on: {
        pointerenter: light,
        pointerleave: dim,
        focus: light,
        blur: dim,
      },
    },
    index,
  );
}

/**
 * @param {Cited} cited
 * @param {string} source
 * @param {Cited[]} all
 * @param {{quiet?: boolean}} [options]
 */
export function openCitation(cited, source, all, options) {
  const { document, version, page, index } = cited;
  open(
    { document: document.id, filename: document.filename, version, page, cited: all, current: index, source, tab: "page", query: view.get()?.query ?? "" },
    options,
  );
}

/** @param {Cited} cited a quote as one puts it into a text */
export function asText(cited) {
  return `“${cited.quote}” (${cited.document.filename}, page ${cited.page}, ${location.origin}${linkTo(cited)})`;
}

/**
 * Builds blocks from pieces as they come. Pieces join as the server joins them: with a space unless a new line begins.
 * @param {HTMLElement} target
 */
export function prose(target) {
  /** @type {HTMLElement | null} */
  let block = null;
  /** @type {HTMLElement | null} */
  let list = null;

  /** @param {string} line of which a block begins @returns {string} what is left of it */
  function begin(line) {
    const item = /^\s*(?:[-*•]|(\d+)[.)])\s+/.exec(line);
    if (!item) {
      list = null;
      block = h("p");
      target.append(block);
      return line.replace(/^\s*#+\s*/, "");
    }
    const kind = item[1] ? "ol" : "ul";
    if (list?.localName !== kind) target.append((list = h(kind)));
    block = h("li");
    list.append(block);
    return line.slice(item[0].length);
  }

  return {
    /**
     * A piece of text; returns the elements it went into, so that citations can stand behind the last.
     * @param {string} text
     * @returns {HTMLElement[]}
     */
    add(text) {
      const spans = [];
      for (const [at, line] of text.split(/\n+/).entries()) {
        if (at > 0) block = null;
        if (!line.trim()) continue;
        const rest = block ? line : begin(line);
        if (block?.hasChildNodes()) block.append(" ");
        const span = h("span", { class: "claim" }, inline(rest.trim()));
        block?.append(span);
        spans.push(span);
      }
      return spans;
    },
    /**
     * A piece of a draft, cut anywhere, in the middle of a word even.
     * @param {string} text
     */
    flow(text) {
      for (const [at, line] of text.split("\n").entries()) {
        if (at > 0) block = null;
        const rest = block || !line.trim() ? line : begin(line.trimStart());
        block?.append(rest);
      }
    },
    /** @param {HTMLElement} node behind what was added last */
    behind(node) {
      (block ?? target).append(node);
    },
  };
}

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith("**") && part.length > 4) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`") && part.length > 2) return h("code", {}, part.slice(1, -1));
    return part;
  });
}
