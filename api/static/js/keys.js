// Keys that work everywhere but where text is written, and the dialog that shows them.

import { pickFiles } from "./arrivals.js";
import { home } from "./conversation.js";
import { h, iconButton } from "./dom.js";
import { showRail } from "./rail.js";
import { close, go, turn } from "./router.js";
import { canLook, room, view } from "./state.js";

/** @typedef {{talk: {focus: () => void}, results: {focus: () => void}, viewer: ReturnType<typeof import("./viewer.js").viewer>}} Parts */
/** @typedef {[what: string, keys: string, ...acts: ((parts: Parts) => unknown)[]]} Key `acts`: one a key; none where the browser or a field takes it */

/** @param {"text" | "heat"} tab */
const toggle = (tab) => turn({ tab: view.get()?.tab === tab ? "page" : tab });
const here = () => view.get()?.page ?? 0;

/** @type {Key[]} */
const ALWAYS = [
  ["Ask or search", "/", ({ talk, results }) => (room.get() === "results" ? results : talk).focus()],
  ["Search only", "Ctrl ⏎"],
  ["Add documents", "U", pickFiles],
  ["Library", "L", () => go("/library")],
  ["Settings", ",", () => go("/settings")],
  ["Next, previous page or citation", "J K", () => walk(1), () => walk(-1)],
  ["Open it", "⏎"],
  ["These keys", "?", help],
  ["Close", "Esc"],
];
/** @type {Key[]} */
const LOOKING = [
  ["Previous, next page", "← →", ({ viewer }) => viewer.turnTo(here() - 1), ({ viewer }) => viewer.turnTo(here() + 1)],
  ["Previous, next citation", "[ ]", ({ viewer }) => viewer.leaf(-1), ({ viewer }) => viewer.leaf(1)],
  ["Copy quote with citation", "C", ({ viewer }) => viewer.copyQuote()],
  ["Zoom in, out", "+ −", ({ viewer }) => viewer.page.larger(), ({ viewer }) => viewer.page.smaller()],
  ["Fit page", "0", ({ viewer }) => viewer.page.fit()],
  ["Heat map", "H", () => view.get()?.query && canLook() && toggle("heat")],
  ["Text", "T", () => toggle("text")],
];

/** @type {Record<string, string>} */
const SHOWN = { ArrowLeft: "←", ArrowRight: "→", "-": "−", "=": "+" };

/** @param {Key[]} keys @param {string} pressed */
function actOf(keys, pressed) {
  for (const [, shown, ...acts] of keys) {
    const at = shown.split(" ").indexOf(SHOWN[pressed] ?? pressed.toUpperCase());
    if (at >= 0) return acts[at];
  }
}

/** @param {Parts} parts */
export function listen(parts) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return leave(event);
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("input, textarea, select")) return;
    const act = actOf(ALWAYS, event.key) ?? (view.get() ? actOf(LOOKING, event.key) : undefined);
    if (!act || (event.key.startsWith("Arrow") && target?.closest('[role="slider"], [role="tab"]'))) return;
    event.preventDefault();
    act(parts);
  });
}

/** @param {KeyboardEvent} event closes what lies on top */
function leave(event) {
  if (document.querySelector(".rail.open")) return showRail(false);
  if (document.querySelector(":popover-open")) return;
  if (view.get()) close();
  else if (room.get() !== "talk") go(home());
  else if (event.target instanceof HTMLElement) event.target.blur();
}

/** @param {1 | -1} step through hits or citations of what is shown */
function walk(step) {
  const links = [...document.querySelectorAll(".room:not([hidden]) :is(.hit, .leaf, .quotes .cite)")].filter((each) => each.checkVisibility());
  const at = links.indexOf(/** @type {Element} */ (document.activeElement));
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  if (next instanceof HTMLElement || next instanceof SVGElement) next.focus();
}

/** The browser gives the focus back to where it was when the dialog is closed. */
export function help() {
  const row = (/** @type {Key} */ [what, keys]) => h("div", {}, h("dt", {}, what), h("dd", {}, keys.split(" ").map((each) => h("kbd", {}, each))));
  const group = (/** @type {string} */ title, /** @type {Key[]} */ keys) => h("section", {}, h("h3", {}, title), h("dl", {}, keys.map(row)));
  const dialog = h(
    "dialog",
    { "aria-labelledby": "keys-title" },
    h("div", { class: "dialog-head" }, h("h2", { id: "keys-title" }, "Keys"), iconButton("close", "Close", () => dialog.close())),
    h("div", { class: "keys" }, group("Everywhere", ALWAYS), group("Beside a page", LOOKING)),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
