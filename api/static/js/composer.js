// The one input: Enter asks, Ctrl+Enter only searches, while an answer comes it can be stopped.

import { button, h, icon, put } from "./dom.js";
import { documents, isNarrow, more, scope, some, titleOf } from "./state.js";

/**
 * @param {(question: string) => void} ask
 * @param {(query: string) => void} search
 * @param {() => void} stop
 */
export function composer(ask, search, stop) {
  const input = h("textarea", { rows: 1, placeholder: "Ask the documents", "aria-label": "Question or search", maxlength: 10000, enterkeyhint: "send", id: "question" });
  const menu = scopeMenu();
  const label = h("span", {});
  const asking = button("Ask", () => give(ask), { class: "first", type: "submit" });
  asking.append(h("kbd", { "aria-hidden": "true", class: "wide" }, "⏎"));
  const searching = button("Search only", () => give(search), {});
  searching.append(h("kbd", { "aria-hidden": "true", class: "wide" }, "Ctrl ⏎"));
  const stopping = button("Stop", stop, { class: "lined", hidden: true }, icon("stop"));
  const limited = h("button", { type: "button", class: "button", popovertarget: menu.id }, icon("book"), label);
  const form = h(
    "form",
    { on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
    input,
    h("div", { class: "row" }, limited, h("span", { class: "fill" }), searching, asking, stopping),
  );
  const element = h("div", { class: "composer" }, form, menu);

  /** @param {(words: string) => void} use */
  function give(use) {
    const words = input.value.trim();
    if (!words) return input.focus();
    input.value = "";
    grow();
    if (isNarrow()) input.blur(); // the keyboard would cover what comes
    use(words);
  }

  function grow() {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight, 168)}px`;
  }

  input.addEventListener("input", grow);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) give(search);
    else if (stopping.hidden) give(ask);
  });
  form.addEventListener("click", (event) => event.target === form && input.focus());

  function tellScope() {
    const chosen = scope.get().size;
    const all = documents.get().length;
    put(label, chosen || all === 1 ? some(chosen || 1, "document") : more.get() ? "All documents" : `All ${some(all, "document")}`);
    limited.hidden = !all;
  }
  scope.watch(tellScope);
  documents.watch(tellScope);

  return {
    element,
    focus: () => input.focus(),
    /** @param {boolean} running */
    busy(running) {
      asking.hidden = searching.hidden = running;
      stopping.hidden = !running;
    },
    /** @param {string} words */
    invite(words) {
      input.placeholder = words;
    },
    /** @param {string} words */
    fill(words) {
      input.value = words;
      grow();
    },
  };
}

/** Which documents are asked: all of the collection, or those that are ticked. */
function scopeMenu() {
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
