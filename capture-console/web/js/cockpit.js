// The page in Cockpit: its calls go to the daemon's socket as the user who is logged in there, or as root with
// administrative access. Cockpit's own `base1/cockpit.js` has been loaded; `app.js` comes after.

import { use } from './transport.js';

/** @type {any} */
const cockpit = /** @type {any} */ (globalThis).cockpit;

/** As `paths.socket` has it by default. */
const SOCKET = { unix: '/run/capture-agent/api.sock', superuser: 'try' };

/** Without it Cockpit names the socket, which is no host. */
const HOST = { Host: 'localhost' };

const http = cockpit.http(SOCKET);

/**
 * @param {string} call
 * @param {RequestInit & {headers?: Record<string, string>}} options
 * @returns {Promise<import('./transport.js').Answer>}
 */
function send(call, { method = 'GET', headers, body, signal }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted());
    let status = 0;
    let answered = new Headers();
    const request = http.request({ method, path: `/${call}`, headers: { ...headers, ...HOST }, body: body ?? '' });
    signal?.addEventListener('abort', () => {
      request.close('cancelled');
      reject(aborted());
    });
    request.response((/** @type {number} */ code, /** @type {Record<string, string>} */ fields) => {
      status = code;
      answered = new Headers(fields);
    });
    const give = (/** @type {string} */ text) => resolve({
      ok: status >= 200 && status < 300,
      status,
      headers: answered,
      json: async () => JSON.parse(text),
      blob: async () => new Blob([text], { type: answered.get('content-type') ?? '' }),
    });
    // Answers that refuse have a text as well; without a status nobody has answered.
    request.then(give, (/** @type {any} */ error, /** @type {string} */ text) => {
      if (error.problem || !status) reject(new TypeError(error.problem ?? error.message));
      else give(text ?? '');
    });
  });
}

const aborted = () => new DOMException('given up', 'AbortError');

/** Server-sent events from the text of an answer that does not end. */
class Stream extends EventTarget {
  /** @type {any} */
  onopen = null;
  /** @type {any} */
  onerror = null;
  #text = '';
  /** @type {any} */
  #request;

  /** @param {string} call */
  constructor(call) {
    super();
    this.#request = http.request({ method: 'GET', path: `/${call}`, headers: { ...HOST, Accept: 'text/event-stream' }, body: '' });
    this.#request.response((/** @type {number} */ status) => {
      if (status === 200) this.onopen?.(new Event('open'));
    });
    this.#request.stream((/** @type {string} */ text) => this.#take(text));
    const end = () => this.onerror?.(new Event('error'));
    this.#request.then(end, end);
  }

  close() {
    this.onerror = null;
    this.#request.close('cancelled');
  }

  /** @param {string} text */
  #take(text) {
    const blocks = (this.#text + text).split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      let type = 'message';
      const data = [];
      for (const line of block.split('\n')) {
        if (line.startsWith('event:')) type = line.slice(6).trim();
        if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      }
      if (data.length > 0) this.dispatchEvent(new MessageEvent(type, { data: data.join('\n') }));
    }
  }
}

/**
 * A download by a channel of its own, so that a file of gigabytes does not come through the page.
 * @param {string} call
 */
function address(call) {
  const channel = { ...SOCKET, payload: 'http-stream1', binary: 'raw', method: 'GET', path: `/${call}`, headers: HOST, external: {} };
  const socket = new URL(cockpit.transport.uri(`channel/${cockpit.transport.csrf_token}`), document.baseURI);
  return `${socket.pathname}?${btoa(JSON.stringify(channel))}`;
}

use({ send, stream: (call) => new Stream(call), address });
await cockpit.transport.wait(() => import('./app.js'));
