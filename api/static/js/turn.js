// One question and its answer: pages as soon as they are found, text as it comes, citations as they are checked.

import { events, isAbort, problemOf } from "./api.js";
import { announce, button, copy, h, icon, iconButton, mark, note, put } from "./dom.js";
import { place } from "./conversation.js";
import { asText, chip, openCitation, prose, sourceOf, verdict } from "./prose.js";
import { close, go } from "./router.js";
import { duration, isNarrow, lit, model, room, some, view } from "./state.js";
import { feedback, openHit, strip } from "./results.js";

/** @typedef {import("./wire.js").AnswerOut} AnswerOut */
/** @typedef {import("./state.js").Cited} Cited */
/** @typedef {import("./wire.js").SearchOut} SearchOut */

/** @typedef {{question: string, documents: string[] | null}} Asked */

let turns = 0;

/**
 * @param {Asked} asked
 * @param {(asked: Asked) => void} again ask the same anew
 */
export function turn(asked, again) {
  const id = `turn-${++turns}`;
  /** @type {Cited[]} */
  let cited = [];
  /** @type {SearchOut | null} */
  let found = null;
  let text = "";
  const stopper = new AbortController();

  const facts = h("p", { class: "facts" });
  const pages = strip(id, () => cited, () => found?.query ?? asked.question);
  const verdictLine = h("h3", { class: "says-not", hidden: true }, "These pages don’t say.");
  const body = h("div", { class: "answer", "aria-busy": "true" });
  const quotes = h("ol", { class: "quotes", "aria-label": "Citations", hidden: true });
  const after = h("div", { class: "after" });
  const heading = h("h2", { class: "question", id, tabindex: -1 }, asked.question);
  const element = h("article", { class: "turn", "aria-labelledby": id }, heading, facts, pages.element, verdictLine, body, quotes, after);
  let writing = prose(body);

  /** Chips, rows and claims of what is lit or open. */
  function light() {
    const shown = view.get();
    const open = shown?.source === id ? shown.current : 0;
    const index = lit.get()?.source === id ? lit.get()?.index : open;
    for (const each of element.querySelectorAll("[data-cite]")) {
      each.setAttribute("aria-current", `${Number(each.getAttribute("data-cite")) === index}`);
    }
    for (const claim of body.querySelectorAll(".claim")) {
      const numbers = claim.getAttribute("data-cites")?.split(" ") ?? [];
      claim.classList.toggle("lit", index !== 0 && numbers.includes(`${index}`));
    }
    pages.light();
  }

  /** @param {...string} parts what is going on */
  function busy(...parts) {
    const sign = mark();
    sign.classList.add("busy");
    put(facts, [sign, ...parts].map((part) => h("span", {}, part)));
  }

  function waitForText() {
    const bar = (/** @type {number} */ width) => h("span", { class: "waiting line", vars: { wide: `${width}%` } });
    pages.wait();
    put(body, h("div", { class: "lines", "aria-hidden": "true" }, bar(96), bar(88), bar(93), bar(41)));
  }

  /** @param {SearchOut} result */
  function onPages(result) {
    found = result;
    pages.deal(result.hits);
    const best = result.hits[0];
    busy(best ? `Found ${some(result.hits.length, "page")}` : "Found no page", `reading with ${reader()}`);
    if (best && room.get() === "talk" && !isNarrow() && view.get()?.tab !== "heat") openHit(best, id, [], result.query, { quiet: true, pending: true });
  }

  /** @param {string} piece */
  function onText(piece) {
    if (!text) {
      put(body);
      writing = prose(body);
    }
    text += piece;
    writing.flow(piece);
  }

  /** @param {Cited} citation */
  function onCitation(citation) {
    cited = [...cited, citation];
    writing.behind(chip(citation, id, () => cited));
    pages.flag();
    const shown = view.get();
    const follows = shown?.source === id && shown.tab === "page" && !isNarrow();
    if (follows && (cited.length === 1 || !shown.current)) openCitation(citation, id, cited, { quiet: true });
    else if (shown?.source === id) view.set({ ...shown, cited });
    light();
  }

  /** @param {AnswerOut} answer @param {boolean} [fresh] whether it has just been given */
  function onAnswer(answer, fresh = true) {
    cited = answer.citations;
    body.setAttribute("aria-busy", "false");
    element.dataset.status = answer.status;
    const knew = Math.max(0, ...Object.values(found?.coverage ?? {}).map((each) => each.total));
    const read = [h("span", {}, "Read ", h("b", {}, some(answer.pages_used.length, "page")), knew ? ` of ${knew.toLocaleString()}` : "")];
    const took = found?.timings.total;
    if (took !== undefined) read.push(h("span", { class: "wide" }, "found in ", h("b", {}, duration(took))));
    read.push(h("span", {}, "answered in ", h("b", {}, duration(answer.took_ms))));
    put(facts, read);
    write(answer);
    if (answer.status === "not_found" || answer.status === "blocked") sayNothing(answer);
    pages.flag();
    listQuotes();
    conclude(answer);
    const shown = view.get();
    if (shown?.source === id) view.set({ ...shown, cited, pending: false });
    light();
    if (fresh) announce(answer.status === "not_found" ? "These pages don’t say." : `Answered with ${some(cited.length, "citation")}.`);
  }

  /** @param {AnswerOut} answer */
  function write(answer) {
    put(body);
    writing = prose(body);
    for (const segment of answer.segments) {
      for (const span of writing.add(segment.text)) span.setAttribute("data-cites", segment.citations.join(" "));
      for (const index of segment.citations) {
        const citation = cited.find((each) => each.index === index);
        if (citation) writing.behind(chip(citation, id, () => cited));
      }
    }
    if (answer.cut) writing.behind(h("span", { class: "tag warn" }, "Cut off here"));
    body.hidden = !answer.segments.length;
  }

  /** @param {AnswerOut} answer */
  function sayNothing(answer) {
    verdictLine.hidden = false;
    if (answer.status === "blocked") put(verdictLine, "The model declined to answer.");
    else if (!answer.pages_used.length) put(verdictLine, "No page matches this question.");
    if (answer.pages_used.length) {
      pages.element.classList.add("unused");
      quotes.after(h("h3", { class: "label" }, "Closest pages, not used"), pages.element);
      heading.after(facts);
    }
    if (view.get()?.source === id && !history.state?.opened) close();
  }

  function listQuotes() {
    quotes.hidden = !cited.length;
    put(
      quotes,
      cited.map((each) =>
        h(
          "li",
          { class: "quote", "data-cite": each.index },
          chip(each, id, () => cited),
          h("q", { class: "said" }, each.quote),
          verdict(each.quote_status),
          h("span", { class: "from" }, sourceOf(each), each.quote_status === "unverified" && ". No such words there, so nothing is marked."),
        ),
      ),
    );
    for (const row of quotes.children) {
      row.addEventListener("click", (event) => {
        if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) row.querySelector("a")?.click();
      });
    }
  }

  /** @param {AnswerOut} answer what stands below it */
  function conclude(answer) {
    const notes = answer.warnings.map(remark);
    if (answer.status === "partial") notes.unshift(remark("Some of this rests on no quote that could be found on a page."));
    if (answer.model === "extractive") notes.push(extractive(answer.status === "not_found"));
    put(after, notes, actions(answer));
  }

  /** Said at length once. @param {boolean} nothing whether nothing was found */
  function extractive(nothing) {
    const first = !element.previousElementSibling;
    const words = h("b", {}, nothing ? "Only sentences as the pages have them were looked for" : "Sentences as the pages have them");
    const one = [" One that reads the pages: ", h("code", {}, "FOLIOSCOPE_MODEL=ollama:qwen3-vl:8b folioscope serve")];
    return h("p", { class: first ? "note badge" : "remark badge" }, icon("file"), h("span", {}, words, ", for no model is set.", first && one));
  }

  /** @param {AnswerOut} answer */
  function actions(answer) {
    const all = () => go(`/?search=${encodeURIComponent(answer.query)}`);
    return h(
      "div",
      { class: "actions" },
      answer.segments.length
        ? button("Copy", () => copy(asWhole(answer)), { title: "Copy the answer with its citations" }, icon("copy"))
        : button("See all matches", all, {}, icon("search")),
      iconButton("redo", "Ask again", () => again(asked)),
      feedback("answer", { answer: answer.id }),
    );
  }

  /** @param {AnswerOut} answer */
  function asWhole(answer) {
    const marks = (/** @type {number[]} */ list) => list.map((index) => ` [${index}]`).join("");
    const said = answer.segments.map((each) => `${each.text}${marks(each.citations)}`).join(" ").replace(/ \n/g, "\n");
    return [answer.cut ? `${said} […]` : said, "", ...cited.map((each) => `[${each.index}] ${asText(each)}`)].join("\n");
  }

  /** @param {string} words @param {boolean} [bad] the end that nobody wanted; what was written stays */
  function breakOff(words, bad = true) {
    body.setAttribute("aria-busy", "false");
    if (!text) put(body);
    if (!found) pages.deal([]);
    put(facts, h("span", {}, found ? `Found ${some(found.hits.length, "page")}` : "Nothing was found yet"));
    const kept = text ? " What was written is kept; it has not been checked to the end." : "";
    const retry = button("Ask again", () => again(asked), { class: "lined" });
    put(after, note(bad ? "warn" : "", words + kept, retry));
    listQuotes();
    const shown = view.get();
    if (shown?.source === id) view.set({ ...shown, pending: false });
    light();
  }

  /** @param {Promise<unknown>} [first] what has to be done before, the reading of documents */
  async function run(first) {
    waitForText();
    if (first) {
      busy("Reading the sample: a report, a manual and a scanned letter");
      try {
        await first;
      } catch (error) {
        return breakOff(`The sample could not be read: ${lower(problemOf(error).message)}`);
      }
    }
    busy("Looking for pages");
    const json = { question: asked.question, stream: true, ...(asked.documents && { documents: asked.documents }) };
    let done = false;
    try {
      for await (const [name, data] of events(await place(), { json, signal: stopper.signal })) {
        if (name === "retrieval.done") onPages(data);
        else if (name === "answer.delta") onText(data.text);
        else if (name === "citation.added") onCitation(data);
        else if (name === "answer.done") {
          onAnswer(data);
          done = true;
        }
      }
      if (!done) breakOff("The answer stopped here: the connection was closed.");
    } catch (error) {
      if (isAbort(error)) breakOff("Stopped.", false);
      else breakOff(`${text ? "The answer stopped here" : "No answer"}: ${lower(problemOf(error).message)}`);
    }
  }

  /** @param {AnswerOut | null} answer as it was given; null: gone with a document */
  function recall(answer) {
    if (answer) {
      pages.deal(answer.pages_used);
      return onAnswer(answer, false);
    }
    body.setAttribute("aria-busy", "false");
    put(after, note("", "This answer is gone with a document that it was written from."));
  }

  const watching = [lit.watch(light), view.watch(light)];
  const stop = () => stopper.abort();

  function remove() {
    stop();
    for (const each of watching) each();
    element.remove();
  }
  return { element, run, recall, stop, remove };
}

/** @param {string} words what is to be known of an answer, besides */
const remark = (words) => h("p", { class: "remark" }, icon("alert"), h("span", {}, words));

const reader = () => (model.get() === "extractive" ? "the built-in reader" : model.get() || "the model");

/** @param {string} sentence in the middle of another; names keep their capitals */
const lower = (sentence) => sentence.replace(/^(The|No|A|An|It|This) /, (word) => word.toLowerCase());
