// How the page reaches the service: by the browser's own means, or by Cockpit's (`cockpit.js`), which lead to the socket
// of the daemon. What is asked, and what is made of the answers, is in `api.js` alone.

/**
 * An answer, of which a `Response` is one.
 * @typedef {object} Answer
 * @property {boolean} ok
 * @property {number} status
 * @property {{get(name: string): string | null}} headers
 * @property {() => Promise<any>} json
 * @property {() => Promise<Blob>} blob
 */

/**
 * Server-sent events, of which an `EventSource` is one.
 * @typedef {EventTarget & {onopen: any, onerror: any, close(): void}} Events
 */

/**
 * Calls are named by path and query below the root, without a `/` before it.
 * @typedef {object} Transport
 * @property {(call: string, options: RequestInit & {headers?: Record<string, string>}) => Promise<Answer>} send rejects where
 *   nobody answers, with an `AbortError` where the caller gave up
 * @property {(call: string) => Events} stream
 * @property {(call: string) => string} address for the browser, to save what is there
 */

/** @param {string} call */
const url = (call) => new URL(call, document.baseURI);

/** @type {Transport} */
let used = {
  send: (call, options) => fetch(url(call), options),
  stream: (call) => new EventSource(url(call)),
  address: (call) => url(call).href,
};

/**
 * Takes another transport, before anything is asked.
 * @param {Transport} other
 */
export function use(other) {
  used = other;
}

/** The one in use. */
export const transport = () => used;
