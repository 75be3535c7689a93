// A page on the desk: its image as sharp as it is shown, marks over it, its words to select, flags at its edge.

import { imageAddress, pageOf, pageText, problemOf, show } from "./api.js";
import { dress, h, put, s } from "./dom.js";
import { frame, isDark, lay, marker } from "./marks.js";
import { turn } from "./router.js";
import { lit } from "./state.js";

/** @typedef {import("./state.js").View} View */
/** @typedef {import("./state.js").Cited} Cited */

const STEP = 1.25;
const MOST = 6;

export function paper() {
  const image = h("img", { alt: "", draggable: "false" });
  const over = s("svg", { class: "over", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  const words = h("div", { class: "word-layer" });
  const flags = h("div", { class: "flags" });
  const sheet = h("div", { class: "paper", role: "group", vars: { w: 1, h: 1.414 } }, image, over, words, flags);
  const trouble = h("p", { class: "note bad", role: "alert", hidden: true });
  const element = h("div", { class: "stage", tabindex: 0, role: "region", "aria-label": "Page" }, sheet, trouble);

  /** @type {View | null} */
  let shown = null;
  let zoom = 1;
  let ratio = 1;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;

  const nameOf = (/** @type {View} */ each) => `${each.document} ${each.version} ${each.page}`;
  const here = () => (shown ? shown.cited.filter((each) => each.document.id === shown?.document && each.page === shown.page) : []);

  /** As many pixels as the page has on this screen. */
  async function sharpen() {
    if (!shown || !sheet.clientWidth) return;
    const { document, version, page } = shown;
    const name = nameOf(shown);
    const there = await show(image, imageAddress(document, version, page, sheet.clientWidth));
    if (!shown || nameOf(shown) !== name) return;
    if (there) drawMarks(false);
    else if (!image.hasAttribute("src")) say("The page’s image can’t be had."); // else it stays as sharp as it was
  }

  /** @param {string} what went wrong; nothing hides it */
  function say(what) {
    trouble.textContent = what;
    trouble.hidden = !what;
  }

  /** @param {boolean} anew whether the strokes are drawn as one watches */
  function drawMarks(anew) {
    if (shown?.tab === "heat") return;
    const cited = here();
    const index = lit.get()?.source === shown?.source ? (lit.get()?.index ?? 0) : (shown?.current ?? 0);
    const strong = cited.some((each) => each.index === index) ? index : (shown?.current ?? 0);
    // The strong one last, over the others.
    const ordered = [...cited].sort((a, b) => Number(a.index === strong) - Number(b.index === strong));
    put(over, ordered.map((each) => {
      const group = marker(each.boxes, each.index, each.index === strong);
      group.classList.toggle("on-dark", isDark(image, each.boxes));
      group.classList.toggle("seen", each.quote_status === "visual");
      return group;
    }));
    over.classList.toggle("drawing", anew);
    const hit = shown?.hit;
    if (!cited.length && hit?.document.id === shown?.document && hit?.page === shown?.page) {
      put(over, hit?.regions.map((each, at) => (each.kind === "similarity" ? frame(each.box) : marker([each.box], at, false))));
    }
    for (const flag of flags.children) dress(flag, { "aria-current": flag.textContent === `${strong}` });
  }

  function plantFlags() {
    const cited = shown?.tab === "heat" ? [] : here();
    let lowest = -1;
    put(flags, [...cited].filter((each) => each.boxes[0]).sort((a, b) => (a.boxes[0]?.[1] ?? 0) - (b.boxes[0]?.[1] ?? 0)).map((each) => {
      const apart = 26 / Math.max(1, sheet.clientHeight);
      lowest = Math.max(each.boxes[0]?.[1] ?? 0, lowest + apart);
      return h("button", {
        type: "button",
        class: "flag",
        "aria-label": `Citation ${each.index}`,
        "aria-current": each.index === shown?.current,
        vars: { y: lowest },
        on: { click: () => turn({ current: each.index }) },
      }, each.index);
    }));
  }

  function reveal() {
    const stroke = over.querySelector(".strong");
    if (!stroke || element.scrollHeight <= element.clientHeight + 1) return;
    const mark = stroke.getBoundingClientRect();
    const desk = element.getBoundingClientRect();
    element.scrollBy({
      top: mark.top - desk.top - desk.height / 3,
      left: mark.left < desk.left || mark.right > desk.right ? mark.left - desk.left - 24 : 0,
      behavior: "smooth",
    });
  }

  /** @param {View} next another page */
  async function lift(next) {
    const name = nameOf(next);
    put(words);
    say("");
    image.removeAttribute("src");
    try {
      const page = await pageOf(next.document, next.version, next.page);
      if (!shown || nameOf(shown) !== name) return;
      ratio = page.width / page.height;
      dress(sheet, { vars: { w: page.width, h: page.height }, "aria-label": `Page ${next.page} of ${next.filename}` });
      plantFlags();
      if (page.error) say(`This page could not be read: ${page.error.message}`);
      drawMarks(true);
      const [text] = await Promise.all([pageText(next.document, next.version, next.page), sharpen()]);
      if (!shown || nameOf(shown) !== name) return;
      lay(words, text.words ?? [], ratio);
      dress(image, { alt: text.words?.length ? "" : `Image of page ${next.page}; it has no words.` });
      drawMarks(true);
      reveal();
    } catch (error) {
      if (shown && nameOf(shown) === name) say(problemOf(error).message);
    }
  }

  /** @param {number} factor 0: fit the page */
  function rescale(factor) {
    const before = zoom;
    zoom = factor ? Math.min(MOST, Math.max(0.5, zoom * factor)) : 1;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = element;
    dress(sheet, { vars: { zoom } });
    // What is in the middle stays there.
    element.scrollTo((scrollLeft + clientWidth / 2) * (zoom / before) - clientWidth / 2, (scrollTop + clientHeight / 2) * (zoom / before) - clientHeight / 2);
    drawMarks(false);
  }

  new ResizeObserver(() => {
    clearTimeout(later);
    later = setTimeout(() => {
      plantFlags();
      sharpen();
    }, 120);
  }).observe(sheet);
  lit.watch(() => shown && drawMarks(false));
  element.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    rescale(event.deltaY < 0 ? STEP : 1 / STEP);
  }, { passive: false });

  return {
    element,
    sheet,
    over,
    larger: () => rescale(STEP),
    smaller: () => rescale(1 / STEP),
    fit: () => rescale(0),
    /** @param {View | null} next */
    show(next) {
      const before = shown;
      shown = next;
      if (!next) return;
      if (!before || nameOf(before) !== nameOf(next)) {
        over.replaceChildren();
        flags.replaceChildren();
        lift(next);
      } else {
        if (before.cited !== next.cited || before.tab !== next.tab) plantFlags();
        drawMarks(before.current !== next.current || before.cited !== next.cited || before.tab !== next.tab);
        if (before.current !== next.current) reveal();
      }
    },
  };
}
