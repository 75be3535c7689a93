// What several parts of the page show, each a value that tells when it changes; names and counts for people.

/**
 * @template Value
 * @typedef {object} Signal
 * @property {() => Value} get
 * @property {(value: Value) => void} set tells everyone, also of an equal value
 * @property {(reader: (value: Value, before: Value) => void) => () => void} watch told at once and at every change,
 *   until what it gives back is called
 */

/**
 * @template Value
 * @param {Value} value
 * @returns {Signal<Value>}
 */
export function signal(value) {
  /** @type {Set<(value: Value, before: Value) => void>} */
  const readers = new Set();
  return {
    get: () => value,
    set(next) {
      const before = value;
      value = next;
      for (const reader of readers) reader(next, before);
    },
    watch(reader) {
      readers.add(reader);
      reader(value, value);
      return () => void readers.delete(reader);
    },
  };
}

/** @typedef {Omit<import("./wire.js").CitationOut, "moved" | "union_box" | "image_url" | "view_url">} Cited */
/** @typedef {import("./wire.js").CollectionOut} CollectionOut */
/** @typedef {import("./wire.js").DocumentOut} DocumentOut */

/**
 * What the viewer shows. `cited`: citations that can be leafed through; `current`: the index of the one that is lit,
 * 0 for none; `source`: the turn they belong to; `query`: what was looked for; `hit`: how the page was found;
 * `pending`: citations are still to come.
 * @typedef {object} View
 * @property {string} document
 * @property {string} filename
 * @property {number} version
 * @property {number} page
 * @property {Cited[]} cited
 * @property {number} current
 * @property {string} source
 * @property {"page" | "text" | "heat"} tab
 * @property {string} query
 * @property {import("./wire.js").Hit} [hit]
 * @property {boolean} [pending]
 */

/** @typedef {"talk" | "results" | "library" | "settings"} Room */

export const room = signal(/** @type {Room} */ ("talk"));

/** @type {Signal<View | null>} */
export const view = signal(/** @type {View | null} */ (null));

/** The citation under the pointer or the focus. */
export const lit = signal(/** @type {{source: string, index: number} | null} */ (null));

export const collections = signal(/** @type {CollectionOut[]} */ ([]));

/** Name of the collection that is asked; empty until it is known. */
export const collection = signal("");

/** Documents of the collection, as far as they are loaded. */
export const documents = signal(/** @type {DocumentOut[]} */ ([]));

/** Whether `documents` has been loaded, and whether there are more behind. */
export const loaded = signal(false);
export const more = signal(false);

/** Ids of the only documents to ask; empty: all. */
export const scope = signal(/** @type {ReadonlySet<string>} */ (new Set()));

/** The answering model's name; empty until it is known. */
export const model = signal("");

/** Whether a channel of the collection looks at pages, so that it can show where. */
export const canLook = () =>
  collections.get().some((each) => each.name === collection.get() && each.channels.some((name) => name === "visual" || name === "image"));

export const isNarrow = () => matchMedia("(max-width: 767px)").matches;

/**
 * A file's name as a title for people: without what says its kind, "annual-report-2025" as words.
 * @param {string} filename
 */
export function titleOf(filename) {
  const name = filename.replace(/\.(pdf|png|jpe?g|tiff?|webp|gif|bmp|docx?|pptx?|xlsx?)$/i, "");
  const words = /\s/.test(name) ? name : name.replace(/[-_]+/g, " ").trim() || name;
  return capital(words);
}

/** @param {number} count @param {string} one */
export const some = (count, one) => `${count.toLocaleString()} ${one}${count === 1 ? "" : "s"}`;

/** @param {string} name */
export const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);

/** @param {number} milliseconds */
export const duration = (milliseconds) =>
  milliseconds < 1000 ? `${Math.max(1, Math.round(milliseconds))} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
