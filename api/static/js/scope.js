// Which documents are asked: all of the collection, or those that are ticked.

import { button, h, put } from "./dom.js";
import { documents, scope, titleOf } from "./state.js";

export function scopeMenu() {
  const list = h("ul", { class: "choices" });
  const every = button("Ask all documents", () => scope.set(new Set()), { class: "lined" });
  const menu = h("div", { popover: "auto", id: "scope", class: "menu", role: "dialog", "aria-label": "Documents to ask" }, list, every);

  function fill() {
    const chosen = scope.get();
    put(
      list,
      documents.get().filter((each) => each.status === "ready").map((each) => {
        const box = h("input", { type: "checkbox", checked: chosen.has(each.id) });
        box.addEventListener("change", () => {
          const next = new Set(scope.get());
          if (box.checked) next.add(each.id);
          else next.delete(each.id);
          scope.set(next);
        });
        return h("li", {}, h("label", {}, box, h("span", { class: "one-line" }, titleOf(each.filename))));
      }),
    );
  }
  menu.addEventListener("beforetoggle", fill);
  scope.watch((chosen) => {
    every.disabled = !chosen.size;
    for (const box of list.querySelectorAll("input")) if (!chosen.size) box.checked = false;
  });
  return menu;
}
