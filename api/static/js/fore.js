// The document seen from its cut edge, a sheet a page: which one is open, which are cited. One slider to the keyboard.

import { dress, h, iconButton, put } from "./dom.js";

const MOST = 160; // sheets; more pages share them

/** @param {(page: number) => void} turnTo */
export function fore(turnTo) {
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
