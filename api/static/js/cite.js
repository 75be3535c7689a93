// Citations: the chip, the words for how a quote stands on its page, what is copied of it.

import { h, icon } from "./dom.js";
import { addressOf, open } from "./router.js";
import { lit, titleOf, view } from "./state.js";

/** @typedef {import("./wire.js").CitationOut} CitationOut */
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

/** @param {CitationOut} cited */
export const sourceOf = (cited) => `${titleOf(cited.document.filename)}, page ${cited.page}`;

/**
 * A link that opens the page there. While it has the pointer or the focus its words are lit.
 * @param {CitationOut} cited
 * @param {string} source the turn it belongs to
 * @param {() => CitationOut[]} siblings all of the turn
 */
export function chip(cited, source, siblings) {
  const { index } = cited;
  const light = () => lit.set({ source, index });
  const dim = () => lit.set(null);
  return h(
    "a",
    {
      class: `cite ${cited.quote_status}`,
      href: addressOf({ document: cited.document.id, page: cited.page, cited: [cited], current: index }),
      "aria-label": `Citation ${index}, ${sourceOf(cited)}, ${VERDICTS[cited.quote_status].words.toLowerCase()}`,
      "data-cite": index,
      on: {
        click: (/** @type {MouseEvent} */ event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          openCitation(cited, source, siblings());
        },
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
 * @param {CitationOut} cited
 * @param {string} source
 * @param {CitationOut[]} all
 * @param {{quiet?: boolean}} [options]
 */
export function openCitation(cited, source, all, options) {
  const { document, version, page, index } = cited;
  open(
    { document: document.id, filename: document.filename, version, page, cited: all, current: index, source, tab: "page", query: view.get()?.query ?? "" },
    options,
  );
}

/** @param {CitationOut} cited a quote as one puts it into a text */
export function asText(cited) {
  const address = addressOf({ document: cited.document.id, page: cited.page, cited: [cited], current: cited.index });
  return `“${cited.quote}” (${cited.document.filename}, page ${cited.page}, ${location.origin}${address})`;
}
