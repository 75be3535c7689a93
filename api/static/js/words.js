// A page's words: laid over its image unseen, so that they can be selected and read aloud; and as plain text.

import { h, put } from "./dom.js";

/** @typedef {import("./wire.js").WordOut} WordOut */
/** @typedef {import("./wire.js").CitationOut} CitationOut */

const pen = document.createElement("canvas").getContext("2d");

/** @param {string} text @returns {number} its width at a font size of 1 */
function widthOf(text) {
  if (!pen) return text.length / 2;
  pen.font = "100px sans-serif";
  return pen.measureText(text).width / 100;
}

/**
 * Words by block, in reading order.
 * @param {WordOut[]} words
 * @returns {WordOut[][]}
 */
function blocks(words) {
  /** @type {WordOut[][]} */
  const found = [];
  for (const word of words) {
    const last = found.at(-1);
    if (last && last[0]?.block === word.block) last.push(word);
    else found.push([word]);
  }
  return found;
}

/**
 * Fill the layer: every word in its box. Sizes are shares of the layer's, so zooming needs nothing.
 * @param {HTMLElement} layer
 * @param {WordOut[]} words
 * @param {number} ratio width of the page / its height
 */
export function lay(layer, words, ratio) {
  put(
    layer,
    blocks(words).map((block) =>
      h(
        "p",
        {},
        block.map((word, at) => {
          const [x0, y0, x1, y1] = word.box;
          const stretch = ((x1 - x0) * ratio) / ((y1 - y0) * widthOf(word.text)) || 1;
          const ends = block[at + 1]?.line !== word.line;
          return h("span", { vars: { x: x0, y: y0, size: y1 - y0, stretch } }, word.text + (ends ? "\n" : " "));
        }),
      ),
    ),
  );
}

const APART = 0.4; // of a line's height between two lines: more begins a paragraph

/**
 * Blocks joined where one goes on in the next line, for many files make a block of every line.
 * @param {WordOut[]} words
 * @returns {WordOut[][]}
 */
function paragraphs(words) {
  /** @type {WordOut[][]} */
  const found = [];
  for (const block of blocks(words)) {
    const last = found.at(-1)?.at(-1)?.box;
    const next = block[0]?.box;
    const high = next ? next[3] - next[1] : 0;
    const gap = last && next ? next[1] - last[3] : 1;
    const alike = last && Math.abs(last[3] - last[1] - high) < 0.2 * high;
    if (alike && gap > -0.5 * high && gap < APART * high) found.at(-1)?.push(...block);
    else found.push([...block]);
  }
  return found;
}

/**
 * The page's text in paragraphs; words of citations are marked.
 * @param {WordOut[]} words
 * @param {CitationOut[]} cited on this page
 * @param {number} current
 */
export function reading(words, cited, current) {
  const markOf = (/** @type {WordOut} */ { box: [x0, y0, x1, y1] }) => {
    const x = (x0 + x1) / 2;
    const y = (y0 + y1) / 2;
    const inside = cited.filter((each) => each.boxes.some((box) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]));
    return inside.find((each) => each.index === current) ?? inside[0];
  };
  return paragraphs(words).map((block) => {
    const paragraph = h("p");
    /** @type {HTMLElement | null} */
    let run = null;
    /** @type {CitationOut | undefined} */
    let before;
    for (const word of block) {
      const here = markOf(word);
      if (!run || here !== before) {
        if (run) paragraph.append(" ");
        run = here ? h("mark", { class: here.index === current ? "strong" : null }) : h("span");
        paragraph.append(run);
      } else run.append(" ");
      run.append(word.text);
      before = here;
    }
    return paragraph;
  });
}
