// Where the visual search looked: similarity over the page, for the whole question or one of its words. No evidence.

import { ask, problemOf } from "./api.js";
import { button, dress, h, put } from "./dom.js";
import { frame } from "./marks.js";

/** @typedef {import("./state.js").View} View */
/** @typedef {import("./wire.js").SimilarityOut} SimilarityOut */

// From paper to orchid; black print keeps a contrast of 4.5 on the darkest of them.
const RAMP = [[255, 255, 255], [203, 235, 248], [132, 198, 242], [149, 146, 240], [204, 114, 222]];

/** @param {number} heat 0 to 1 @param {number} part of red, green, blue */
function colour(heat, part) {
  const place = Math.min(0.9999, Math.max(0, heat)) * (RAMP.length - 1);
  const below = RAMP[Math.floor(place)]?.[part] ?? 0;
  const above = RAMP[Math.floor(place) + 1]?.[part] ?? 0;
  return below + (place % 1) * (above - below);
}

/** @param {HTMLCanvasElement} canvas one pixel a cell; the browser smooths it @param {SimilarityOut} map */
function paint(canvas, { rows, cols, heat }) {
  canvas.width = cols;
  canvas.height = rows;
  const image = new ImageData(cols, rows);
  heat.flat().forEach((cell, at) => {
    for (let part = 0; part < 3; part++) image.data[4 * at + part] = colour(cell, part);
    image.data[4 * at + 3] = 255;
  });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * @param {HTMLElement} sheet the page that it is laid over
 * @param {SVGElement} over where frames are drawn
 */
export function heat(sheet, over) {
  const canvas = h("canvas", { class: "heat", "aria-hidden": "true", hidden: true });
  const words = h("div", { class: "tokens", role: "group", "aria-label": "Words of the question" });
  const most = h("span", { class: "quiet small" });
  const strength = h("input", { type: "range", min: 0, max: 100, value: 80, "aria-label": "Strength of the colour" });
  const told = h("p", { class: "small quiet fill", role: "status" });
  const element = h(
    "div",
    { class: "heat-bar", hidden: true },
    words,
    h("div", { class: "row" }, h("span", { class: "legend", "aria-hidden": "true" }), most, told, h("label", { class: "small quiet" }, "Colour", strength)),
  );
  sheet.append(canvas);
  strength.addEventListener("input", () => dress(canvas, { vars: { strength: Number(strength.value) / 100 } }));

  /** @type {View | null} */
  let shown = null;
  let word = "";
  let looks = 0; // the newest counts; maps for earlier ones come too late

  async function look() {
    const view = shown;
    if (!view) return;
    const mine = ++looks;
    const only = word ? `&word=${encodeURIComponent(word)}` : "";
    put(told, "Looking");
    try {
      /** @type {SimilarityOut} */
      const map = await ask(`/v1/documents/${view.document}/pages/${view.page}/similarity?query=${encodeURIComponent(view.query)}&version=${view.version}${only}`);
      if (mine !== looks) return;
      paint(canvas, map);
      canvas.hidden = false;
      sheet.classList.add("heated");
      put(over, map.regions.map((each) => frame(each.box)));
      put(most, `strongest ${map.high.toFixed(2)}`);
      put(told, "How the page was found; no evidence for the answer.");
    } catch (error) {
      if (mine !== looks) return;
      clear();
      put(told, problemOf(error).message);
    }
  }

  function clear() {
    looks++;
    canvas.hidden = true;
    sheet.classList.remove("heated");
    put(most);
  }

  /** @param {string} query */
  function listWords(query) {
    const choose = (/** @type {string} */ name) => {
      word = name;
      for (const each of words.children) dress(each, { "aria-pressed": each.getAttribute("data-word") === word });
      look();
    };
    const asked = [...new Set(query.match(/[\p{L}\p{N}][\p{L}\p{N}'’.-]*/gu) ?? [])];
    put(words, ["", ...asked].map((name) => button(name || "All words", () => choose(name), { class: "lined", "data-word": name, "aria-pressed": name === word })));
  }

  return {
    element,
    /** @param {View | null} view null: away with it */
    show(view) {
      const on = view?.tab === "heat";
      element.hidden = !on;
      if (!on) {
        shown = null;
        return clear();
      }
      const before = shown;
      shown = view;
      if (before?.query !== view.query) {
        word = "";
        listWords(view.query);
      }
      if (before?.query !== view.query || before.page !== view.page || before.document !== view.document) {
        clear(); // a page never wears the colours of another
        look();
      }
    },
  };
}
