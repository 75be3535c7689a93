// What lies over a page's image: a marker's strokes for words that stand there, corners around what only resembles, its
// words, unseen, so that they can be selected and read aloud; and the same words as plain text.

import { h, put, s } from "./dom.js";

/** @typedef {import("./wire.js").Box} Box */
/** @typedef {import("./wire.js").WordOut} WordOut */
/** @typedef {import("./state.js").Cited} Cited */

const WIDER = 0.004; // of the page's width, on either side
const LOWER = 0.06; // of a line's height, from its top
const WANDER = 0.0011; // of the page's height: how far an edge strays

/**
 * A line as a marker draws it; the same seed gives the same line.
 * @param {Box} box
 * @param {number} seed
 */
function stroke([x0, y0, x1, y1], seed) {
  const left = Math.max(0, x0 - WIDER);
  const right = Math.min(1, x1 + WIDER);
  const top = y0 + LOWER * (y1 - y0);
  const middle = (left + right) / 2;
  let state = seed * 2654435761;
  const stray = () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) | 0;
    return ((state >>> 8) / 2 ** 24 - 0.5) * 2 * WANDER;
  };
  const at = (/** @type {number} */ x, /** @type {number} */ y) => `${x.toFixed(5)} ${(y + stray()).toFixed(5)}`;
  return `M${at(left, top)}Q${at(middle, top)} ${at(right, top)}L${at(right, y1)}Q${at(middle, y1)} ${at(left, y1)}Z`;
}

/**
 * The strokes of one citation.
 * @param {Box[]} boxes one a line
 * @param {number} index
 * @param {boolean} strong whether it is the one that is looked at
 */
export function marker(boxes, index, strong) {
  const lines = boxes.map((box, line) =>
    s("path", { d: stroke(box, index * 97 + line + 1), class: strong ? "stroke strong" : "stroke", vars: { nth: line } }),
  );
  return s("g", { "data-mark": index }, ...lines);
}

const CORNER = 0.016;

/** @param {Box} box four corners, as a viewfinder has them */
export function frame([x0, y0, x1, y1]) {
  const dx = Math.min(CORNER, (x1 - x0) / 3);
  const dy = Math.min(CORNER, (y1 - y0) / 3);
  const corner = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ right, /** @type {number} */ down) =>
    `M${x + right * dx} ${y}L${x} ${y}L${x} ${y + down * dy}`;
  const d = [corner(x0, y0, 1, 1), corner(x1, y0, -1, 1), corner(x0, y1, 1, -1), corner(x1, y1, -1, -1)].join("");
  return s("path", { d, class: "frame" });
}

/**
 * Whether a page is dark behind these boxes, where a marker that multiplies would vanish.
 * @param {HTMLImageElement} image loaded
 * @param {Box[]} boxes
 */
export function isDark(image, boxes) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 24;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const [box] = boxes;
  if (!pen || !box || !image.naturalWidth) return false;
  const [x0, y0, x1, y1] = box;
  const { naturalWidth: wide, naturalHeight: high } = image;
  pen.drawImage(image, x0 * wide, y0 * high, Math.max(1, (x1 - x0) * wide), Math.max(1, (y1 - y0) * high), 0, 0, 24, 24);
  const { data } = pen.getImageData(0, 0, 24, 24);
  let light = 0;
  for (let at = 0; at < data.length; at += 4) {
    light += 0.2126 * (data[at] ?? 0) + 0.7152 * (data[at + 1] ?? 0) + 0.0722 * (data[at + 2] ?? 0);
  }
  return light / (24 * 24 * 255) < 0.4;
}

const measure = document.createElement("canvas").getContext("2d");

/** @param {string} text @returns {number} its width at a font size of 1 */
function widthOf(text) {
  if (!measure) return text.length / 2;
  measure.font = "100px sans-serif";
  return measure.measureText(text).width / 100;
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
 * @param {Cited[]} cited on this page
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
    /** @type {Cited | undefined} */
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
