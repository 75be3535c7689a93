// The conversation: turns one below the other, the input at its foot.

import { button, h, iconButton, tell } from "./dom.js";
import { composer } from "./composer.js";
import { earlier, leave, recall } from "./conversation.js";
import { first } from "./first.js";
import { help } from "./keys.js";
import { go } from "./router.js";
import { brand, showRail } from "./rail.js";
import { choose } from "./library.js";
import { collection, documents, loaded, scope, view } from "./state.js";
import { turn } from "./turn.js";

/** @typedef {ReturnType<typeof turn>} Turn */

export function talk() {
  const welcome = first(ask);
  const thread = h("div", { class: "thread" });
  const invitation = h("p", { class: "invitation" }, "Ask something, or search for a page.");
  const scroller = h("div", { class: "scroll", tabindex: -1 }, invitation, thread);
  const writing = composer(ask, (query) => go(`/?search=${encodeURIComponent(query)}`), () => running?.stop());
  const renew = button("New question", clear, { hidden: true });
  const element = h(
    "section",
    { class: "room talk", "aria-label": "Conversation" },
    h("div", { class: "bar" }, h("div", { class: "narrow" }, brand()), h("span", { class: "fill" }), renew, earlier(clear), iconButton("menu", "Library", () => showRail(true), { class: "narrow" }), h("button", { type: "button", class: "button square", "aria-label": "Keys", title: "Keys", on: { click: help } }, "?")),
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
