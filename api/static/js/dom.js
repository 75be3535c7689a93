// Elements. Whatever comes from a document, a model or a person becomes a text node: no markup is ever parsed.

import { problemOf } from "./api.js";

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | Leaf[] | Leaf[][]} Child */
/** @typedef {Record<string, unknown>} Attributes `on`: listeners; `vars`: custom properties; true and null as expected */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(dress(document.createElement(tag), attributes), children);
}

/**
 * An SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function s(tag, attributes = {}, ...children) {
  return fill(dress(document.createElementNS(SVG, tag), attributes), children);
}

/**
 * @template {Element} Some
 * @param {Some} element
 * @param {Attributes} attributes
 * @returns {Some}
 */
export function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(/** @type {Record<string, EventListener>} */ (value))) {
        element.addEventListener(event, listener);
      }
    } else if (name === "vars") {
      const { style } = /** @type {ElementCSSInlineStyle} */ (/** @type {unknown} */ (element));
      for (const [key, amount] of Object.entries(/** @type {object} */ (value))) style.setProperty(`--${key}`, `${amount}`);
    } else if (typeof value === "boolean" && name.startsWith("aria-")) {
      element.setAttribute(name, `${value}`);
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? "" : `${value}`);
    }
  }
  return element;
}

/**
 * @template {Element} Some
 * @param {Some} element
 * @param {Child[]} children
 * @returns {Some}
 */
function fill(element, children) {
  for (const child of children.flat(2)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : `${child}`);
  }
  return element;
}

/**
 * Other children.
 * @param {Element} element
 * @param {...Child} children
 */
export function put(element, ...children) {
  element.replaceChildren();
  fill(element, children);
}

/** Drawings on a grid of 16 by 16, one stroke wide. */
const ICONS = {
  add: "M8 3v10M3 8h10",
  alert: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM8 5v3.6M8 11h.01",
  auto: "M8 13.5a5.5 5.5 0 1 0 0-11ZM8 13.5a5.5 5.5 0 1 1 0-11",
  book: "M8 3.6C6.5 2.6 4.5 2.4 2.4 2.6v9.9c2.1-.2 4.1 0 5.6 1 1.5-1 3.5-1.2 5.6-1V2.6C11.5 2.4 9.5 2.6 8 3.6ZM8 3.6v9.9",
  check: "m3.2 8.4 3.1 3.1 6.5-7",
  close: "m4 4 8 8M12 4l-8 8",
  copy: "M5.5 5.5h7.7v7.7H5.5zM10.4 5.3V2.8H2.8v7.6h2.5",
  eye: "M1.6 8S4 3.6 8 3.6 14.4 8 14.4 8 12 12.4 8 12.4 1.6 8 1.6 8ZM8 9.9a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8Z",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  go: "m6 3.5 4.5 4.5L6 12.5",
  left: "M10 3 5 8l5 5",
  less: "M3.5 8h9",
  link: "m6.6 9.4 2.8-2.8M7.4 4.6 9 3a2.8 2.8 0 0 1 4 4l-1.6 1.6M8.6 11.4 7 13a2.8 2.8 0 0 1-4-4l1.6-1.6",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6Z",
  near: "M2.5 6.4c1.8-2.2 3.7-2.2 5.5-.6s3.7 1.6 5.5-.6M2.5 10.8c1.8-2.2 3.7-2.2 5.5-.6s3.7 1.6 5.5-.6",
  past: "M8 4.8V8l2.2 1.5M2.6 5.5A6 6 0 1 1 2 8M2.3 2.5v3.2h3.2",
  redo: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  right: "m6 3 5 5-5 5",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.6 10.6 14 14",
  set: "M2.5 5h5M11.5 5h2M9.5 6.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6ZM2.5 11h2M8.5 11h5M6.5 12.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6Z",
  stop: "M4.5 4.5h7v7h-7z",
  up: "M5 7.2v6.3H2.6V7.2zM5 7.2l2.7-4.9c1 0 1.7.9 1.5 1.9l-.5 2.3h3.5c.8 0 1.4.8 1.2 1.6l-1 4.2c-.1.7-.7 1.2-1.4 1.2H5",
  down: "M11 8.8V2.5h2.4v6.3zM11 8.8l-2.7 4.9c-1 0-1.7-.9-1.5-1.9l.5-2.3H3.8c-.8 0-1.4-.8-1.2-1.6l1-4.2c.1-.7.7-1.2 1.4-1.2H11",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
};

/** @param {keyof typeof ICONS} name */
export function icon(name) {
  const thick = name === "more" ? { "stroke-width": 2.4 } : {};
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", ...thick }, s("path", { d: ICONS[name] }));
}

/** The sign of the house: three sheets on one hinge. */
export function mark() {
  const sheet = () => s("rect", { x: 4, y: 5, width: 11.5, height: 16, rx: 1.5 });
  const line = s("path", { d: "M6.5 11.5h6.5" });
  return s("svg", { class: "mark", viewBox: "0 0 26 26", "aria-hidden": "true" }, sheet(), sheet(), sheet(), line);
}

/**
 * A button with an icon; `name` is what it is called, shown as a tooltip where there is no text.
 * @param {keyof typeof ICONS} drawing
 * @param {string} name
 * @param {() => void} press
 * @param {Attributes} [attributes]
 */
export function iconButton(drawing, name, press, attributes = {}) {
  const { class: more = "", ...rest } = attributes;
  return h(
    "button",
    { type: "button", class: `button square ${more}`, "aria-label": name, title: name, on: { click: press }, ...rest },
    icon(drawing),
  );
}

/**
 * A button with words.
 * @param {string} words
 * @param {() => void} press
 * @param {Attributes} [attributes]
 * @param {...Child} before
 */
export function button(words, press, attributes = {}, ...before) {
  const { class: more = "", ...rest } = attributes;
  return h("button", { type: "button", class: `button ${more}`, on: { click: press }, ...rest }, ...before, words);
}

/**
 * A link that does something here; with a key that opens it elsewhere it is the browser's.
 * @param {string} href
 * @param {() => void} press
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function link(href, press, attributes = {}, ...children) {
  const made = h("a", { href, ...attributes }, ...children);
  made.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    press();
  });
  return made;
}

/**
 * Tabs; arrow keys go from one to the next. `show` says which one is chosen and which are not there.
 * @param {string} name
 * @param {Record<string, string>} words by tab
 * @param {(tab: string) => void} choose
 */
export function tabList(name, words, choose) {
  const tabs = Object.entries(words).map(([tab, word]) => button(word, () => choose(tab), { role: "tab", "data-tab": tab }));
  const element = h("div", { class: "tabs", role: "tablist", "aria-label": name }, tabs);
  element.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.stopPropagation();
    const there = tabs.filter((each) => !each.hidden);
    const next = there.at((there.findIndex((each) => each === document.activeElement) + step) % there.length);
    next?.click();
    next?.focus();
  });
  /** @param {string} chosen @param {string} [missing] */
  const show = (chosen, missing = "") => {
    for (const each of tabs) {
      const { tab } = each.dataset;
      dress(each, { "aria-selected": tab === chosen, tabindex: tab === chosen ? 0 : -1, hidden: tab === missing });
    }
  };
  return { element, show };
}

/**
 * What happened, what was kept, one action.
 * @param {"" | "bad" | "warn"} kind `bad` and `warn` are read out at once
 * @param {Child} words
 * @param {...Child} rest
 */
export const note = (kind, words, ...rest) => h("p", { class: `note ${kind}`, role: kind ? "alert" : null }, icon("alert"), h("span", { class: "fill" }, words), ...rest);

const live = h("div", { class: "hidden-text", role: "status", "aria-live": "polite" });

/**
 * Say something to those who don't see it happen.
 * @param {string} words
 */
export function announce(words) {
  if (!live.isConnected) document.body.append(live);
  live.textContent = words;
}

/**
 * A line at the foot of the page that goes away by itself.
 * @param {string} words
 */
export function toast(words) {
  document.querySelector(".toast")?.remove();
  const box = h("div", { class: "toast", role: "status" }, words);
  document.body.append(box);
  setTimeout(() => box.remove(), 3000 + 60 * words.length); // as long as reading it takes
}

/** @param {unknown} error @param {string} [what] could not be done */
export const tell = (error, what = "") => toast(what + problemOf(error).message);

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser did not let the page copy.");
  }
}
