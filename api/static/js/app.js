// The page is put together and begins.

import { problemOf } from "./api.js";
import { takeFiles } from "./arrivals.js";
import { docs } from "./docs.js";
import { button, h, link, note, put } from "./dom.js";
import { home } from "./conversation.js";
import { askForKey, watchServer } from "./gate.js";
import { listen } from "./keys.js";
import { load } from "./library.js";
import { rail } from "./rail.js";
import { results } from "./results.js";
import { go, start } from "./router.js";
import { loaded, room, titleOf, view } from "./state.js";
import { talk } from "./talk.js";
import { show as showTheme } from "./theme.js";
import { viewer } from "./viewer.js";

showTheme();

const conversation = talk();
const found = results((question) => {
  go(home());
  conversation.ask(question);
});
const library = docs();
const choices = h("div", { class: "room", hidden: true });
const evidence = viewer();
const trouble = h("div", { class: "trouble", hidden: true });
const shell = h(
  "div",
  { class: "shell" },
  rail(),
  h("main", { class: "pane middle" }, h("h1", { class: "hidden-text" }, "Folioscope"), trouble, watchServer(() => loaded.get() || begin()), conversation.element, found.element, library.element, choices),
  evidence.element,
);
document.getElementById("opening")?.remove();
document.body.append(link("#question", conversation.focus, { class: "skip" }, "Skip to the question"), shell);

view.watch((shown) => {
  shell.classList.toggle("looking", shown !== null);
  document.title = shown ? `${titleOf(shown.filename)}, page ${shown.page} · Folioscope` : "Folioscope";
});
room.watch((name) => {
  conversation.element.hidden = name !== "talk";
  found.element.hidden = name !== "results";
  library.element.hidden = name !== "library";
  choices.hidden = name !== "settings";
  if (name === "settings" && !choices.childElementCount) furnish();
  shell.dataset.room = name;
});

/** The settings are fetched when somebody wants them. */
async function furnish() {
  const { settings } = await import("./settings.js");
  if (!choices.childElementCount) choices.append(settings());
}

async function begin() {
  trouble.hidden = true;
  try {
    await load();
    start({ search: found.search, reopen: conversation.reopen });
  } catch (error) {
    const { code, message } = problemOf(error);
    if (code === "unauthorized") return;
    put(trouble, note("bad", message, button("Try again", begin, { class: "lined" })));
    trouble.hidden = false;
  }
}

askForKey(begin);
listen({ talk: conversation, results: found, viewer: evidence });
takeFiles();
begin();
