// Rows of the library: a document, a file on its way, a place where one will stand.

import { imageAddress, show } from "./api.js";
import { button, dress, h, icon, iconButton, link, put } from "./dom.js";
import { capital, some, titleOf } from "./state.js";

/** @typedef {import("./arrivals.js").Arrival} Arrival */
/** @typedef {import("./wire.js").DocumentOut} DocumentOut */
/** @typedef {import("./wire.js").Progress} Progress */

/**
 * What can be done from a row.
 * @typedef {object} Does
 * @property {(document: DocumentOut) => void} open
 * @property {(document: DocumentOut, from: HTMLElement) => void} menu
 * @property {(document: DocumentOut) => void} retry
 * @property {(document: DocumentOut, ticked: boolean, range: boolean) => void} tick
 * @property {(arrival: Arrival) => void} again
 * @property {(arrival: Arrival) => void} dismiss
 * @property {(arrival: Arrival) => void} stop
 */

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** @param {Progress} share */
export const percent = ({ done, total }) => `${total ? Math.floor((100 * done) / total) : 0} %`;

/** @param {string} name @param {Progress} share @param {string} [told] */
function meter(name, share, told = percent(share)) {
  return h("span", { class: "meter" }, name, h("i", { class: "gauge", vars: { part: share.total ? share.done / share.total : 0 } }), told);
}

/** @param {[string, Progress][]} channels */
function channelsOf(channels) {
  const behind = channels.filter(([, { done, total }]) => done < total).map(([name, share]) => meter(capital(name), share));
  const ready = channels.filter(([, { done, total }]) => done >= total).map(([name]) => name);
  return [ready.length > 0 && h("span", { class: "quiet" }, capital(ready.join(", ")), behind.length ? " ready" : ""), ...behind];
}

/** @param {DocumentOut} found @returns {[string, string]} its state, and what there is to say of it */
export function stateOf(found) {
  if (found.status === "failed") return ["Could not be read", found.error?.message ?? ""];
  if (found.status === "queued") return ["Waiting", "Read after those before it"];
  if (found.status === "processing") return ["Being read", found.pages ? `${some(found.pages, "page")} so far` : ""];
  const shares = Object.values(found.coverage);
  const least = Math.min(found.pages, ...shares.map(({ done }) => done));
  if (shares.some(({ done, total }) => done < total)) return ["Searchable already", `${least} of ${some(found.pages, "page")} ready in every channel`];
  return ["Ready", found.page_problems ? `${some(found.page_problems, "page")} could not be read` : ""];
}

/** @param {string} key @param {unknown} value as a tag */
export const tagOf = (key, value) => (value === true ? key : `${key}: ${value}`);

/** @param {DocumentOut} found @param {number} [wide] */
export function cover(found, wide = 36) {
  const box = h("span", { class: "cover" });
  const bare = () => (dress(box, { class: "cover none" }), put(box, icon("file")));
  if (found.status === "ready" && found.pages) {
    const picture = h("img", { alt: "", decoding: "async" });
    box.append(picture);
    show(picture, imageAddress(found.id, found.version, 1, wide)).then((there) => there || bare());
  } else bare();
  return box;
}

/**
 * @param {DocumentOut} found
 * @param {boolean} ticked
 * @param {Does} does
 */
export function documentRow(found, ticked, does) {
  const title = titleOf(found.filename);
  const tick = h("input", { type: "checkbox", "aria-label": `Select ${title}`, checked: ticked, "data-does": "tick" });
  tick.addEventListener("click", (event) => does.tick(found, tick.checked, event.shiftKey));
  const failed = found.status === "failed";
  const [state, detail] = stateOf(found);
  const tags = Object.entries(found.metadata).slice(0, 3);
  const more = Object.keys(found.metadata).length - tags.length;
  /** @type {HTMLButtonElement} */
  const dots = iconButton("more", `More about ${title}`, () => does.menu(found, dots), { "data-does": "menu", "aria-haspopup": "menu" });
  return h(
    "li",
    { class: "doc-row", "data-key": found.id },
    tick,
    cover(found),
    h(
      "div",
      { class: "name" },
      found.pages && !failed
        ? link(`/d/${found.id}`, () => does.open(found), { class: "one-line", title: found.filename, "data-does": "open" }, title)
        : h("span", { class: "one-line", title: found.filename }, title),
      h("small", {}, failed ? "" : some(found.pages, "page"), tags.map(([key, value]) => h("span", { class: "tag" }, tagOf(key, value))), more > 0 && `and ${more} more`),
    ),
    h("div", { class: "channels" }, found.status === "ready" ? channelsOf(Object.entries(found.coverage)) : h("span", { class: "quiet" }, failed ? "Nothing was read" : "")),
    h("div", { class: failed ? "state bad" : "state" }, h("span", {}, failed && icon("alert"), state), detail && h("small", { title: detail }, detail)),
    h("span", { class: "end" }, failed && button("Retry", () => does.retry(found), { "data-does": "retry", "aria-label": `Retry ${title}` }), dots),
  );
}

/**
 * @param {Arrival} arrival
 * @param {Does} does
 */
export function arrivalRow(arrival, does) {
  const { file, phase, document, pages } = arrival;
  const name = titleOf(file.name);
  const close = (/** @type {string} */ word) => button(word, () => does.dismiss(arrival), { "data-does": "dismiss", "aria-label": `${word} ${name}` });
  /** @type {Record<Arrival["phase"], () => [import("./dom.js").Child, string, string, import("./dom.js").Child]>} */
  const looks = {
    waiting: () => ["", "Waiting", "Sent after those before it", close("Leave out")],
    sending: () => ["", "Sending", size(file.size), ""],
    reading: () => [
      pages?.total ? meter("Pages", pages, `${pages.done} of ${pages.total}`) : "",
      "Being read",
      pages?.total ? `${pages.done} of ${some(pages.total, "page")} read` : "",
      iconButton("close", `Stop reading ${name}`, () => does.stop(arrival), { "data-does": "stop" }),
    ],
    same: () => [
      h("span", { class: "quiet" }, "Same file as ", document && link(`/d/${document.id}`, () => does.open(document), { class: "linked" }, titleOf(document.filename))),
      "Already here",
      "Nothing was added.",
      close("Dismiss"),
    ],
    refused: () => [h("span", { class: "quiet" }, "Nothing was added"), "Refused", arrival.message ?? "", [button("Retry", () => does.again(arrival), { "data-does": "retry", "aria-label": `Retry ${name}` }), iconButton("close", `Dismiss ${name}`, () => does.dismiss(arrival), { "data-does": "dismiss" })]],
  };
  const [channels, state, detail, end] = looks[phase]();
  return h(
    "li",
    { class: "doc-row arrival", "data-key": `arrival ${file.name}`, "data-phase": phase },
    h("span"),
    h("span", { class: "cover none" }, icon("file")),
    h("div", { class: "name" }, h("span", { class: "one-line", title: file.name }, name), h("small", {}, size(file.size))),
    h("div", { class: "channels" }, channels),
    h("div", { class: phase === "refused" ? "state bad" : "state" }, h("span", {}, phase === "refused" && icon("alert"), state), detail && h("small", { title: detail }, detail)),
    h("span", { class: "end" }, end),
  );
}

/** Where a document will stand that is not loaded yet. Many pass by in a fast scroll: three elements, and nothing moves. */
export const emptyRow = () => h("li", { class: "doc-row", "aria-busy": "true" }, h("span"), h("span", { class: "waiting cover" }), h("span", { class: "waiting line" }));
