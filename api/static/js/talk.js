// The conversation: turns one below the other, the input at its foot, which documents are asked.

import { button, h, icon, iconButton, put, tell } from "./dom.js";
import { earlier, isElsewhere, leave, recall } from "./conversation.js";
import { first } from "./first.js";
import { help } from "./keys.js";
import { go } from "./router.js";
import { brand, showRail } from "./rail.js";
import { choose } from "./library.js";
import { collection, documents, isNarrow, loaded, more, scope, some, titleOf, view } from "./state.js";
import { turn } from "./turn.js";

/** @typedef {ReturnType<typeof turn>} Turn */

export function talk() {
  const welcome = first(ask);
  const thread = h("div", { class: "thread" });
  const invitation = h("p", { class: "invitation" }, "Ask something, or search for a page.");
  const scroller = h("div", { class: "scroll", tabindex: -1 }, invitation, thread);
  const writing = composer(ask, (query) => go(`/?search=${encodeURIComponent(query)}`), () => running?.stop());
  const renew = button("", clear, { hidden: true, "aria-label": "New question" }, icon("add"), h("span", { class: "wide" }, "New question"));
  const element = h(
    "section",
    { class: "room talk", "aria-label": "Conversation" },
    h("div", { class: "bar" }, h("div", { class: "narrow" }, brand()), h("span", { class: "fill" }), renew, earlier(clear), iconButton("menu", "Library", () => showRail(true), { class: "narrow" }), h("button", { type: "button", class: "button square wide", "aria-label": "Keys", title: "Keys", on: { click: help } }, "?")),
    welcome,
    scroller,
    writing.element,
  );
  /** @type {Turn[]} */
  let turns = [];
  /** @type {Turn | null} */
  let running = null;

  /**
   * @param {string} question
   * @param {Promise<unknown>} [first] what has to be done before
   */
  async function ask(question, first) {
    if (isElsewhere()) clear();
    await pose({ question, documents: scope.get().size ? [...scope.get()] : null }, first);
  }

  /**
   * @param {import("./turn.js").Asked} asked
   * @param {Promise<unknown>} [first]
   */
  async function pose(asked, first) {
    running?.stop();
    const made = turn(asked, (same) => pose(same));
    running = made;
    turns.push(made);
    thread.append(made.element);
    state();
    writing.busy(true);
    writing.invite("Ask something else");
    // The question goes to the top and stays there while its answer grows below.
    made.element.scrollIntoView({ block: "start", behavior: "smooth" });
    await made.run(first);
    if (running !== made) return;
    running = null;
    writing.busy(false);
  }

  /** @param {string} id */
  async function reopen(id) {
    try {
      const kept = await recall(id);
      if (!kept) return;
      if (collection.get() !== kept.collection) await choose(kept.collection);
      empty();
      for (const { question, answer } of kept.turns) {
        const made = turn({ question, documents: null }, (same) => pose(same));
        made.recall(answer);
        turns.push(made);
        thread.append(made.element);
      }
      writing.invite("Ask something else");
      state();
      thread.lastElementChild?.scrollIntoView({ block: "start" });
    } catch (error) {
      history.replaceState({}, "", "/");
      tell(error, "The conversation could not be opened: ");
    }
  }

  function empty() {
    for (const each of turns) each.remove();
    turns = [];
  }

  function clear() {
    empty();
    leave();
    view.set(null);
    history.pushState({}, "", "/");
    writing.invite("Ask the documents");
    state();
    writing.focus();
  }

  function state() {
    const talking = thread.childElementCount > 0;
    const empty = loaded.get() && !documents.get().length && !talking;
    welcome.hidden = !empty;
    scroller.hidden = empty;
    writing.element.hidden = empty;
    invitation.hidden = talking;
    renew.hidden = !talking;
  }
  loaded.watch(state);
  documents.watch(state);
  return { element, ask, reopen, focus: writing.focus, fill: writing.fill };
}

/**
 * The one input: Enter asks, Ctrl+Enter only searches, while an answer comes it can be stopped.
 * @param {(question: string) => void} ask
 * @param {(query: string) => void} search
 * @param {() => void} stop
 */
function composer(ask, search, stop) {
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
