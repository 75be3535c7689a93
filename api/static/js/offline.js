// A server that can't be reached: said at the top of the page, tried again until it answers.

import { reachable } from "./api.js";
import { button, h, icon } from "./dom.js";

const PAUSE = 3000; // milliseconds between two tries

/** @param {() => void} back called when it answers again */
export function watchServer(back) {
  let clock = 0;
  const element = h("p", { class: "note warn away", role: "alert", hidden: true }, icon("alert"), h("span", { class: "fill" }, "The server can’t be reached. What you see stays; the page goes on when it is back."), button("Try now", look, { class: "lined" }));

  async function look() {
    clearTimeout(clock);
    const there = await fetch("/healthz", { cache: "no-store" }).then(({ ok }) => ok, () => false);
    if (there) reachable.set(true);
    else clock = setTimeout(look, PAUSE);
  }

  reachable.watch((now, before) => {
    element.hidden = now;
    if (now === before) return;
    clearTimeout(clock);
    if (now) back();
    else clock = setTimeout(look, PAUSE);
  });
  addEventListener("offline", () => reachable.set(false));
  addEventListener("online", look);
  return element;
}
