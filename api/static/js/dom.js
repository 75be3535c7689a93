// Elements. Whatever comes from a document, a model or a person becomes a text node: no markup is ever parsed.

import { ICONS } from "./icons.js";

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | Leaf[]} Child */
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
  for (const child of children.flat()) {
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

const live = h("div", { class: "hidden-text", role: "status", "aria-live": "polite" });

/**
 * Say something to those who don't see it happen.
 * @param {string} words
 */
export function announce(words) {
  if (!live.isConnected) document.body.append(live);
  live.textContent = words;
}

/** @type {HTMLElement | null} */
let toasted = null;

/**
 * A line at the foot of the page that goes away by itself, with what can be done about it.
 * @param {string} words
 * @param {{label: string, press: () => void}} [action]
 * @param {number} [milliseconds]
 */
export function toast(words, action, milliseconds = 4000) {
  toasted?.remove();
  const box = h("div", { class: "toast", role: "status" }, words);
  if (action) box.append(button(action.label, () => (box.remove(), action.press())));
  document.body.append(box);
  toasted = box;
  setTimeout(() => box.remove(), milliseconds);
}

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser did not let the page copy.");
  }
}
