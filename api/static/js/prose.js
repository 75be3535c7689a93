// An answer's text: paragraphs and list items, strong words and code, nothing else. A model can't write a link.

import { h } from "./dom.js";

/**
 * Builds blocks from pieces as they come. Pieces join as the server joins them: with a space unless a new line begins.
 * @param {HTMLElement} target
 */
export function prose(target) {
  /** @type {HTMLElement | null} */
  let block = null;
  /** @type {HTMLElement | null} */
  let list = null;

  /** @param {string} line of which a block begins @returns {string} what is left of it */
  function begin(line) {
    const item = /^\s*(?:[-*•]|(\d+)[.)])\s+/.exec(line);
    if (!item) {
      list = null;
      block = h("p");
      target.append(block);
      return line.replace(/^\s*#+\s*/, "");
    }
    const kind = item[1] ? "ol" : "ul";
    if (list?.localName !== kind) target.append((list = h(kind)));
    block = h("li");
    list.append(block);
    return line.slice(item[0].length);
  }

  return {
    /**
     * A piece of text; returns the elements it went into, so that citations can stand behind the last.
     * @param {string} text
     * @returns {HTMLElement[]}
     */
    add(text) {
      const spans = [];
      for (const [at, line] of text.split(/\n+/).entries()) {
        if (at > 0) block = null;
        if (!line.trim()) continue;
        const rest = block ? line : begin(line);
        if (block?.hasChildNodes()) block.append(" ");
        const span = h("span", { class: "claim" }, inline(rest.trim()));
        block?.append(span);
        spans.push(span);
      }
      return spans;
    },
    /**
     * A piece of a draft, cut anywhere, in the middle of a word even.
     * @param {string} text
     */
    flow(text) {
      for (const [at, line] of text.split("\n").entries()) {
        if (at > 0) block = null;
        const rest = block || !line.trim() ? line : begin(line.trimStart());
        block?.append(rest);
      }
    },
    /** @param {HTMLElement} node behind what was added last */
    behind(node) {
      (block ?? target).append(node);
    },
  };
}

/** @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith("**") && part.length > 4) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`") && part.length > 2) return h("code", {}, part.slice(1, -1));
    return part;
  });
}
