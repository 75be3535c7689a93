// What stands between the page and its server: a key that it asks for, a server that can't be reached.

import { key, keyWanted, reachable, setKey } from "./api.js";
import { button, h, note } from "./dom.js";

/** @param {() => void} again called with every key that is given */
export function askForKey(again) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", placeholder: "fol_…", "aria-label": "Key", required: true });
  const form = h("form", { method: "dialog" }, h("div", { class: "field" }, input, button("Open", () => {}, { class: "first", type: "submit" })));
  const refused = note("bad", "This key is not accepted. It may have expired or been revoked.");
  const dialog = h("dialog", { class: "asking", "aria-labelledby": "key-title" }, h("h2", { id: "key-title" }, "This server asks for a key."), h("p", { class: "quiet" }, "It stays in this browser until you sign out."), refused, form);
  form.addEventListener("submit", () => {
    setKey(input.value.trim());
    input.value = "";
    again();
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(dialog);
  keyWanted.watch((wanted) => {
    refused.hidden = !key();
    if (wanted && !dialog.open) dialog.showModal();
    else if (!wanted && dialog.open) dialog.close();
  });
}

const PAUSE = 3000; // milliseconds between two tries

/** Said at the top of the page, tried again until it answers. @param {() => void} back called when it answers again */
export function watchServer(back) {
  let clock = 0;
  const element = note("warn", "The server can’t be reached. What you see stays; the page goes on when it is back.", button("Try now", look, { class: "lined" }));

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
