// The evidence: one page of a document, the quote that is looked at and how it stands there, where in the document it is.

import { ask, pageText, problemOf } from "./api.js";
import { asText, openCitation, verdict } from "./prose.js";
import { copy, dress, h, iconButton, note, put, tabList } from "./dom.js";
import { heat } from "./heat.js";
import { reading } from "./marks.js";
import { paper } from "./paper.js";
import { addressOf, close, turn } from "./router.js";
import { canLook, documents, isNarrow, titleOf, view } from "./state.js";

/** @typedef {import("./state.js").View} View */

export function viewer() {
  const page = paper();
  const warm = heat(page.sheet, page.over);
  const edge = fore((to) => turnTo(to));
  const title = h("h2", { class: "one-line", tabindex: -1 });
  const place = h("small", {});
  const text = h("div", { class: "reading", role: "tabpanel", "aria-label": "Text of the page", tabindex: 0, hidden: true });
  const tabs = tabList("Show", { page: "Page", text: "Text", heat: "Heat" }, (tab) => turn({ tab: /** @type {View["tab"]} */ (tab) }));
  const said = h("div", { class: "said-bar" });
  const zoom = h("div", { class: "zoom", role: "group", "aria-label": "Zoom" }, iconButton("add", "Zoom in", page.larger), iconButton("less", "Zoom out", page.smaller), iconButton("fit", "Fit the page", page.fit));
  const desk = h("div", { class: "desk" }, page.element, text, zoom);
  const element = h(
    "aside",
    { class: "pane evidence", "aria-label": "Evidence", hidden: true },
    h("header", { class: "bar" }, h("div", { class: "fill" }, title, place), tabs.element, iconButton("link", "Copy a link to this", () => copyLink(), { class: "wide" }), iconButton("close", "Close the page", close)),
    said,
    warm.element,
    desk,
    edge.element,
  );
  let pages = 1;
  /** @type {Element | null} */
  let from = null;

  /** @param {number} to */
  function turnTo(to) {
    const shown = view.get();
    if (!shown || to < 1 || to > pages || to === shown.page) return;
    const there = shown.cited.find((each) => each.document.id === shown.document && each.page === to);
    turn({ page: to, current: there?.index ?? 0 });
  }

  /** @param {1 | -1} step to the next or previous citation, whatever its document */
  function leaf(step) {
    const shown = view.get();
    if (!shown?.cited.length) return;
    const at = shown.cited.findIndex((each) => each.index === shown.current);
    const next = at < 0 ? (step > 0 ? 0 : shown.cited.length - 1) : at + step;
    const cited = shown.cited[(next + shown.cited.length) % shown.cited.length];
    if (cited) openCitation(cited, shown.source, shown.cited);
  }

  function copyLink() {
    const shown = view.get();
    if (shown) copy(location.origin + addressOf(shown));
  }

  function copyQuote() {
    const shown = view.get();
    const cited = shown?.cited.find((each) => each.index === shown.current);
    if (cited) copy(asText(cited));
  }

  /** The focus goes back to where it was, unless it has gone elsewhere. */
  function giveBack() {
    if (document.activeElement !== document.body && !element.contains(document.activeElement)) return;
    if (from instanceof HTMLElement && from.isConnected && from !== document.body) from.focus();
    else document.getElementById("question")?.focus();
  }

  /** @param {View} shown */
  function showQuote(shown) {
    const cited = shown.cited.find((each) => each.index === shown.current);
    const many = shown.cited.length > 1;
    if (!cited) {
      const words = shown.cited.length ? "Nothing of this page is quoted." : shown.pending ? "Quotes are marked here as soon as they are checked." : "";
      said.hidden = !words;
      put(said, h("span", { class: "quiet fill" }, words), many && step(-1), many && step(1));
      return;
    }
    said.hidden = false;
    put(
      said,
      h("span", { class: `cite ${cited.quote_status}`, "aria-current": "true", "aria-hidden": "true" }, cited.index),
      h("q", { class: "said fill", title: cited.quote }, cited.quote),
      verdict(cited.quote_status),
      many && step(-1),
      many && step(1),
      iconButton("copy", "Copy the quote with its source", copyQuote),
    );
  }

  /** @param {1 | -1} by */
  const step = (by) => iconButton(by > 0 ? "right" : "left", by > 0 ? "Next citation" : "Previous citation", () => leaf(by), { class: "tight" });

  /** @param {View} shown */
  async function showText(shown) {
    text.hidden = shown.tab !== "text";
    page.element.hidden = zoom.hidden = shown.tab === "text";
    if (shown.tab !== "text") return;
    try {
      const found = await pageText(shown.document, shown.version, shown.page);
      if (view.get() !== shown) return;
      const cited = shown.cited.filter((each) => each.document.id === shown.document && each.page === shown.page);
      put(text, found.words?.length ? reading(found.words, cited, shown.current) : h("p", { class: "quiet" }, "There are no words on this page."));
      text.querySelector("mark.strong")?.scrollIntoView({ block: "center" });
    } catch (error) {
      if (view.get() === shown) put(text, note("bad", problemOf(error).message));
    }
  }

  /** @param {View} shown */
  async function countPages(shown) {
    const known = documents.get().find((each) => each.id === shown.document && each.version === shown.version);
    try {
      /** @type {import("./wire.js").DocumentOut} */
      const found = known?.pages ? known : await ask(`/v1/documents/${shown.document}`);
      if (view.get()?.document !== shown.document) return;
      pages = found.pages;
    } catch {
      pages = Math.max(1, shown.page);
    }
    showPlace(view.get() ?? shown);
  }

  /** @param {View} shown */
  function showPlace(shown) {
    put(place, `Page ${shown.page} of ${pages}`);
    edge.show(shown.page, pages, new Set(shown.cited.filter((each) => each.document.id === shown.document).map((each) => each.page)));
  }

  /** On a phone the page lies over everything else. */
  function coverOthers() {
    for (const pane of element.parentElement?.children ?? []) {
      if (pane !== element) pane.toggleAttribute("inert", view.get() !== null && isNarrow());
    }
  }
  addEventListener("resize", coverOthers);

  view.watch((shown, before) => {
    coverOthers();
    if (!shown && before) giveBack();
    element.hidden = !shown;
    document.body.classList.toggle("looking", shown !== null);
    if (!shown) {
      warm.show(null);
      return page.show(null);
    }
    if (!before || shown === before) {
      from = document.activeElement;
      if (isNarrow()) title.focus(); // a sheet over everything else
    }
    put(title, titleOf(shown.filename));
    dress(title, { title: shown.filename });
    if (shown.document !== before?.document || shown === before) {
      pages = Math.max(pages, shown.page);
      countPages(shown);
    }
    tabs.show(shown.tab, shown.query && canLook() ? "" : "heat");
    showPlace(shown);
    showQuote(shown);
    showText(shown);
    page.show(shown);
    warm.show(shown);
  });

  return { element, page, leaf, turnTo, copyQuote };
}

const MOST = 160; // sheets; more pages share them

/**
 * The document seen from its cut edge, a sheet a page: which one is open, which are cited. One slider to the keyboard.
 * @param {(page: number) => void} turnTo
 */
function fore(turnTo) {
  const at = h("span", { class: "at" });
  const edge = h("div", { class: "edge", role: "slider", tabindex: 0, "aria-label": "Page", "aria-valuemin": 1, "aria-orientation": "horizontal" });
  const back = iconButton("left", "Previous page", () => turnTo(page - 1));
  const on = iconButton("right", "Next page", () => turnTo(page + 1));
  const element = h("div", { class: "fore", role: "group", "aria-label": "Pages of the document" }, back, edge, at, on);
  let page = 1;
  let pages = 1;

  /** @param {PointerEvent} event */
  function pageAt(event) {
    const first = edge.firstElementChild?.getBoundingClientRect();
    const last = edge.lastElementChild?.getBoundingClientRect();
    if (!first || !last) return page;
    const share = (event.clientX - first.left) / Math.max(1, last.right - first.left);
    return Math.min(pages, Math.max(1, Math.ceil(share * pages)));
  }

  edge.addEventListener("pointerdown", (event) => {
    edge.setPointerCapture(event.pointerId);
    turnTo(pageAt(event));
  });
  edge.addEventListener("pointermove", (event) => {
    const wanted = pageAt(event);
    edge.title = `Page ${wanted}`;
    if (event.buttons && wanted !== page) turnTo(wanted);
  });
  edge.addEventListener("keydown", (event) => {
    const leap = Math.max(1, Math.round(pages / 10));
    /** @type {Record<string, number>} */
    const to = { ArrowLeft: page - 1, ArrowDown: page - 1, ArrowRight: page + 1, ArrowUp: page + 1, Home: 1, End: pages, PageDown: page + leap, PageUp: page - leap };
    const wanted = to[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    turnTo(wanted);
  });

  return {
    element,
    /**
     * @param {number} open
     * @param {number} count pages there are
     * @param {Set<number>} cited
     */
    show(open, count, cited) {
      page = open;
      pages = Math.max(1, count);
      const sheets = Math.min(pages, MOST);
      const now = Math.ceil((page / pages) * sheets);
      const flagged = new Set([...cited].map((each) => Math.ceil((each / pages) * sheets)));
      if (edge.childElementCount !== sheets) put(edge, Array.from({ length: sheets }, () => h("i")));
      for (const [at, sheet] of [...edge.children].entries()) {
        sheet.className = `${at + 1 === now ? "now" : ""} ${flagged.has(at + 1) ? "cited" : ""}`;
      }
      dress(edge, { "aria-valuemax": pages, "aria-valuenow": page, "aria-valuetext": `Page ${page} of ${pages}${cited.has(page) ? ", cited" : ""}` });
      put(at, `${page} of ${pages}`);
      back.disabled = page <= 1;
      on.disabled = page >= pages;
    },
  };
}
