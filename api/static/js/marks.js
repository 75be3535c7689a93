// What is drawn over a page: a marker's strokes for words that stand there, corners around what only resembles.

import { s } from "./dom.js";

/** @typedef {import("./wire.js").Box} Box */

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
    s("path", { d: stroke(box, index * 97 + line + 1), class: strong ? "stroke strong" : "stroke", vars: { line } }),
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
