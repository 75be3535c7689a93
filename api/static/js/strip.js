// The pages that were found, dealt out in order of rank in their real proportions.

import { imageAddress, pageOf, show } from "./api.js";
import { dress, h, put } from "./dom.js";
import { addressOf, open } from "./router.js";
import { titleOf, view } from "./state.js";

/** @typedef {import("./wire.js").Hit} Hit */
/** @typedef {import("./wire.js").CitationOut} CitationOut */

const WIDE = 132;
const USUAL = 5;

/** @param {Hit} hit */
const nameOf = (hit) => `${hit.document.id} ${hit.page}`;

/**
 * @param {string} source the turn
 * @param {() => CitationOut[]} cited
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
    const link = h(
      "a",
      {
        class: "leaf",
        href: addressOf(shown),
        title: `${hit.document.filename}, page ${hit.page}`,
        "data-page": nameOf(hit),
        vars: { i: at, w: 1, h: 1.414 },
        on: {
          click: (/** @type {MouseEvent} */ event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            openHit(hit, source, cited(), query());
          },
        },
      },
      h("span", { class: "sheet" }, picture, tabs),
      h("span", { class: "caption" }, h("b", {}, `p. ${hit.page}`), h("span", { class: "one-line" }, titleOf(hit.document.filename))),
    );
    pageOf(hit.document.id, hit.version, hit.page).then(({ width, height }) => {
      dress(link, { vars: { w: width, h: height } });
    }, () => {});
    show(picture, imageAddress(hit.document.id, hit.version, hit.page, WIDE)); // not waiting for its proportions
    return h("li", {}, link);
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
        const here = cited().filter((each) => `${each.document.id} ${each.page}` === name);
        if (tabs.childElementCount !== here.length) put(tabs, here.map((each) => h("i", {}, each.index)));
      }
    },
    /** Which one the viewer shows. */
    light() {
      const shown = view.get();
      const open = shown ? `${shown.document} ${shown.page}` : "";
      for (const link of element.querySelectorAll("a")) dress(link, { "aria-current": link.dataset.page === open });
    },
  };
}

/**
 * @param {Hit} hit
 * @param {string} source
 * @param {CitationOut[]} cited
 * @param {string} query
 * @param {{quiet?: boolean, pending?: boolean}} [options]
 */
export function openHit(hit, source, cited, query, { quiet = false, pending = false } = {}) {
  const { id: document, filename } = hit.document;
  const current = cited.find((each) => each.document.id === document && each.page === hit.page)?.index ?? 0;
  open({ document, filename, version: hit.version, page: hit.page, cited, current, source, tab: "page", query, hit, pending }, { quiet });
}
