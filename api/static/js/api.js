// The HTTP interface: requests with the key, problems as errors, streams of events, page images.

import { signal } from "./state.js";

/** @typedef {import("./wire.js").PageOut} PageOut */
/** @typedef {import("./wire.js").PageText} PageText */

const KEY = "folioscope.key";

/** Set when the server refuses a request for want of a key. */
export const keyWanted = signal(false);

/** Whether the last request reached the server. */
export const reachable = signal(true);

/** @returns {string} empty where there is none */
export const key = () => localStorage.getItem(KEY) ?? "";

/** @param {string} value empty: forget it */
export function setKey(value) {
  if (value) localStorage.setItem(KEY, value);
  else localStorage.removeItem(KEY);
  keyWanted.set(false);
}

/** A request that failed. `code` is the server's, or `offline`. */
class Problem extends Error {
  /**
   * @param {string} code
   * @param {string} detail
   * @param {number} [status]
   */
  constructor(code, detail, status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

/** @param {unknown} error @returns {Problem} */
export function problemOf(error) {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) return new Problem("offline", "No connection to the server.");
  return new Problem("unexpected", error instanceof Error ? error.message : `${error}`);
}

/** @param {unknown} error whether a request was given up by the page itself */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/**
 * A request; rejects with a Problem, or an AbortError where `signal` fired.
 * @param {string} path
 * @param {{method?: string, json?: unknown, body?: BodyInit, signal?: AbortSignal | null, headers?: Record<string, string>}} [options]
 * @returns {Promise<Response>}
 */
export async function send(path, { method, json, body, signal: abort = null, headers = {} } = {}) {
  /** @type {Record<string, string>} */
  const all = { ...headers, ...(key() && { authorization: `Bearer ${key()}` }) };
  if (json !== undefined) all["content-type"] = "application/json";
  const content = json === undefined ? (body ?? null) : JSON.stringify(json);
  const verb = method ?? (content === null ? "GET" : "POST");
  let response;
  try {
    response = await fetch(path, { method: verb, headers: all, body: content, signal: abort });
  } catch (error) {
    if (isAbort(error)) throw error;
    reachable.set(false);
    throw problemOf(error);
  }
  if (!reachable.get()) reachable.set(true);
  if (response.ok) return response;
  if (response.status === 401) keyWanted.set(true);
  const told = await response.json().catch(() => ({}));
  throw new Problem(told.code ?? "http_error", told.detail ?? `The server said ${response.status}.`, response.status);
}

/**
 * @template Out
 * @param {string} path
 * @param {Parameters<typeof send>[1]} [options]
 * @returns {Promise<Out>}
 */
export async function ask(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? /** @type {Out} */ (null) : response.json();
}

/**
 * The events of a stream as [name, data, id]; an event `error` is thrown as a Problem.
 * @param {string} path
 * @param {Parameters<typeof send>[1]} [options]
 * @returns {AsyncGenerator<[string, any, string]>}
 */
export async function* events(path, options) {
  const response = await send(path, options);
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (waiting + value).split("\n\n");
      waiting = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = parse(block);
        if (!event) continue;
        if (event[0] === "error") throw new Problem(event[1].code, event[1].detail, event[1].status);
        yield event;
      }
    }
  } catch (error) {
    if (isAbort(error)) throw error;
    throw problemOf(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * @param {string} block lines of `field: value`
 * @returns {[string, any, string] | null} null for a comment
 */
function parse(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, "");
  }
  return fields.data === undefined ? null : [fields.event ?? "message", JSON.parse(fields.data), fields.id ?? ""];
}

/** @param {string} document */
const at = (document) => `/v1/documents/${encodeURIComponent(document)}`;

/** @type {Map<string, Promise<PageOut>>} */
const sizes = new Map();

/**
 * A page's size and where its words came from; asked for once.
 * @param {string} document @param {number} version @param {number} number @returns {Promise<PageOut>}
 */
export function pageOf(document, version, number) {
  const name = `${document} ${version} ${number}`;
  let found = sizes.get(name);
  if (!found) {
    found = ask(`${at(document)}/pages?after=${number - 1}&limit=1`).then(({ data: [page] }) => page ?? Promise.reject(new Problem("not_found", `There is no page ${number}.`)));
    found.catch(() => sizes.delete(name));
    sizes.set(name, found);
  }
  return found;
}

/** @param {string} document @param {number} version @param {number} page @returns {Promise<PageText>} */
export const pageText = (document, version, page) =>
  ask(`${at(document)}/pages/${page}/text?include=words&version=${version}`);

/** @param {string} document @param {number} page @param {string} text @returns {Promise<import("./wire.js").QuoteOut>} */
export const quoteOn = (document, page, text) =>
  ask(`${at(document)}/pages/${page}/quote?text=${encodeURIComponent(text)}`);

/**
 * The address of a page's image, `width` CSS pixels wide on this screen. Steps keep the browser's cache useful.
 * @param {string} document @param {number} version @param {number} page @param {number} width
 */
export function imageAddress(document, version, page, width) {
  const pixels = Math.min(4000, Math.max(64, Math.ceil((width * devicePixelRatio) / 64) * 64));
  return `${at(document)}/pages/${page}/image?version=${version}&width=${pixels}`;
}

/**
 * Show a picture of ours in `image`, decoded first so that nothing flashes. Resolves to whether it could be had.
 * @param {HTMLImageElement} image @param {string} address @returns {Promise<boolean>}
 */
export async function show(image, address) {
  image.dataset.wanted = address;
  let source = address;
  try {
    // An <img> can't send a key.
    if (key()) source = URL.createObjectURL(await (await send(address)).blob());
    const next = new Image();
    next.src = source;
    await next.decode();
    if (image.dataset.wanted === address) image.src = source;
    return true;
  } catch {
    return false;
  } finally {
    if (source !== address) setTimeout(() => URL.revokeObjectURL(source), 60_000);
  }
}
