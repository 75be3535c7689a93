// A list of any length of which only the rows in sight are made. Its rows are all of one height, `--row` of its style.

import { dress, h } from "./dom.js";

const SPARE = 6; // rows above and below what is in sight

/**
 * @param {HTMLElement} scroller what scrolls; the list becomes its child
 * @param {(index: number) => HTMLLIElement} draw a row; the same element again as long as nothing in it has changed
 * @param {import("./dom.js").Attributes} [attributes]
 * @param {(last: number) => void} [reached] told the index behind the last row that was made
 */
export function virtual(scroller, draw, attributes = {}, reached = () => {}) {
  const list = h("ul", { class: "virtual", ...attributes });
  let count = 0;
  let planned = 0;
  let high = 0; // of a row
  let sight = 0; // of the scroller
  let above = 0;

  /** Once a size, not once a frame: reading the layout while rows are exchanged makes the browser do it again. */
  function measure() {
    high = parseFloat(getComputedStyle(list).getPropertyValue("--row"));
    sight = scroller.clientHeight;
    above = list.offsetTop;
    plan();
  }

  function plan() {
    planned ||= requestAnimationFrame(paint);
  }

  function paint() {
    planned = 0;
    if (!sight) return; // not shown; the observer tells when it is
    const top = scroller.scrollTop - above;
    const first = Math.max(0, Math.floor(top / high) - SPARE);
    const last = Math.min(count, Math.ceil((top + sight) / high) + SPARE);
    /** @type {HTMLLIElement[]} */
    const rows = [];
    for (let index = first; index < last; index++) rows.push(placed(index));
    keepFocus(() => sync(rows));
    reached(last);
  }

  /** @param {number} index */
  function placed(index) {
    const row = draw(index);
    if (row.ariaPosInSet !== `${index + 1}` || row.ariaSetSize !== `${count}`) {
      dress(row, { "aria-posinset": index + 1, "aria-setsize": count, vars: { at: index } });
    }
    return row;
  }

  /** @param {HTMLElement[]} rows in order; those that stay are not touched */
  function sync(rows) {
    const wanted = new Set(/** @type {Element[]} */ (rows));
    for (const each of [...list.children]) if (!wanted.has(each)) each.remove();
    let next = list.firstElementChild;
    for (const row of rows) {
      if (row === next) next = next.nextElementSibling;
      else list.insertBefore(row, next);
    }
  }

  /** @param {() => void} act that may replace the row with the focus by another one of the same key */
  function keepFocus(act) {
    const held = document.activeElement;
    const key = held?.closest("li")?.dataset.key;
    const inside = held instanceof HTMLElement && list.contains(held);
    act();
    if (!inside || held.isConnected || !key) return;
    const row = [...list.children].find((each) => each instanceof HTMLElement && each.dataset.key === key);
    const same = row?.querySelector(`[data-does="${held.dataset.does}"]`);
    if (same instanceof HTMLElement) same.focus({ preventScroll: true });
  }

  scroller.addEventListener("scroll", plan, { passive: true });
  new ResizeObserver(measure).observe(scroller);
  scroller.append(list);
  return {
    element: list,
    /** @param {number} rows how many there are now; also where one of them looks otherwise */
    show(rows) {
      count = rows;
      dress(list, { vars: { rows } });
      plan();
    },
  };
}
