// Keys that work everywhere but where text is written.

import { home } from "./conversation.js";
import { help } from "./help.js";
import { showRail } from "./rail.js";
import { close, go, turn } from "./router.js";
import { canLook, room, view } from "./state.js";
import { pickFiles } from "./upload.js";

/**
 * @param {{talk: {focus: () => void}, results: {focus: () => void}, viewer: import("./viewer.js").viewer extends (...rest: any) => infer Viewer ? Viewer : never}} parts
 */
export function listen({ talk, results, viewer }) {
  /** @type {Record<string, () => void>} */
  const always = {
    "/": () => (room.get() === "results" ? results.focus() : talk.focus()),
    "?": help,
    u: pickFiles,
    l: () => go("/library"),
    ",": () => go("/settings"),
    j: () => walk(1),
    k: () => walk(-1),
  };
  /** @type {Record<string, () => unknown>} */
  const looking = {
    "]": () => viewer.leaf(1),
    "[": () => viewer.leaf(-1),
    "+": viewer.page.larger,
    "=": viewer.page.larger,
    "-": viewer.page.smaller,
    0: viewer.page.fit,
    t: () => turn({ tab: view.get()?.tab === "text" ? "page" : "text" }),
    h: () => view.get()?.query && canLook() && turn({ tab: view.get()?.tab === "heat" ? "page" : "heat" }),
    c: viewer.copyQuote,
    ArrowRight: () => viewer.turnTo((view.get()?.page ?? 0) + 1),
    ArrowLeft: () => viewer.turnTo((view.get()?.page ?? 0) - 1),
  };

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return leave(event);
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("input, textarea, select")) return;
    const act = always[event.key] ?? (view.get() ? looking[event.key] : undefined);
    if (!act || (event.key.startsWith("Arrow") && target?.closest('[role="slider"], [role="tab"]'))) return;
    event.preventDefault();
    act();
  });

  /** @param {KeyboardEvent} event closes what lies on top */
  function leave(event) {
    if (document.querySelector(".rail.open")) return showRail(false);
    if (document.querySelector(":popover-open")) return;
    if (view.get()) close();
    else if (room.get() !== "talk") go(home());
    else if (event.target instanceof HTMLElement) event.target.blur();
  }
}

/** @param {1 | -1} step through hits or citations of what is shown */
function walk(step) {
  const links = [...document.querySelectorAll(".room:not([hidden]) :is(.hit, .leaf, .quotes .cite)")].filter((each) => each.checkVisibility());
  const at = links.indexOf(/** @type {Element} */ (document.activeElement));
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  if (next instanceof HTMLElement || next instanceof SVGElement) next.focus();
}
