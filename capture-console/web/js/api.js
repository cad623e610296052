// The public API, which is this page's only door. A wrong answer becomes a `Problem`, and no answer `Unreachable`. How
// calls get there is `transport.js`.

import { transport } from './transport.js';

/**
 * @typedef {object} Fault
 * @property {string} pointer JSON pointer of the field
 * @property {string} code
 * @property {string} detail
 * @property {number} [from] where in a text, in characters
 * @property {number} [to]
 */

/** An error of the API (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{detail?: string, title?: string, errors?: Fault[]}} body
   * @param {number | null} retryAfter seconds
   */
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.name = 'Problem';
    this.status = status;
    /** @type {Fault[]} */
    this.errors = body.errors ?? [];
    this.code = this.errors[0]?.code ?? '';
    this.retryAfter = retryAfter;
  }
}

/** Nobody answers. */
export class Unreachable extends Error {
  constructor() {
    super('the service does not answer');
    this.name = 'Unreachable';
  }
}

/** Tells `signed-out`: a call was refused because nobody knows who asks. */
export const access = new EventTarget();

/** What every call carries besides, as on the page of a share. @type {Record<string, string>} */
let headers = {};

/**
 * Sets what every call carries besides.
 * @param {Record<string, string>} more
 */
export function setHeaders(more) {
  headers = more;
}

/**
 * A call by path and query, below the root of the service.
 * @param {string} path below `/api/v1/`
 * @param {Record<string, any>} [query] without what is null, undefined or empty
 */
export function named(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return `api/v1/${path}${text ? `?${text}` : ''}`;
}

/** An address for the browser, to save what is there. @param {string} path @param {Record<string, any>} [query] */
export const address = (path, query) => transport().address(named(path, query));

/** Server-sent events. @param {string} path @param {Record<string, any>} [query] */
export const stream = (path, query) => transport().stream(named(path, query));

/** An answer as it comes, with the headers of `setHeaders`. @param {string} path */
export const raw = (path) => transport().send(named(path), { headers });

/**
 * One call. Gives the JSON of the answer, or null where it has none.
 * @param {string} method
 * @param {string} path
 * @param {{query?: Record<string, any>, body?: unknown, signal?: AbortSignal, headers?: Record<string, string>, quiet?: boolean}} [options]
 *   `quiet`: a refusal for want of a login is not told to the page
 * @returns {Promise<any>}
 */
export async function call(method, path, options = {}) {
  const hasBody = method !== 'GET';
  let answer;
  try {
    answer = await transport().send(named(path, options.query), {
      method,
      signal: options.signal,
      headers: {
        Accept: 'application/json',
        ...(hasBody ? { 'Content-Type': 'application/json' } : {}),
        ...headers,
        ...options.headers,
      },
      body: hasBody ? JSON.stringify(options.body ?? {}) : undefined,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Unreachable();
  }
  const isJson = /json/.test(answer.headers.get('content-type') ?? '');
  const body = isJson ? await answer.json().catch((error) => {
    // Given up, or cut, in the middle of an answer: an empty one would be taken for the whole.
    if (isAborted(error)) throw error;
    if (answer.ok) throw new Unreachable();
    return {};
  }) : null;
  if (answer.ok) return body;
  const retryAfter = Number(answer.headers.get('retry-after')) || null;
  const problem = new Problem(answer.status, body ?? {}, retryAfter);
  if (answer.status === 401 && !options.quiet) access.dispatchEvent(new Event('signed-out'));
  throw problem;
}

/**
 * Makes the service answer by 200 what is not there, as a browser logs an error for any other answer. The answer then has
 * `absent` and `errors`.
 */
export const REPORTED = { absent: 'report' };

/**
 * Who asks; null where nobody is logged in.
 * @returns {Promise<Record<string, any> | null>}
 */
export async function whoAsks() {
  const answer = await call('GET', 'session', { query: REPORTED, quiet: true });
  return answer.absent ? null : answer;
}

/**
 * A task by its ID; null where there is none.
 * @param {string} id
 * @returns {Promise<import('./live.js').Task | null>}
 */
export async function taskById(id) {
  const answer = await get(`tasks/${encodeURIComponent(id)}`, REPORTED);
  return answer.absent ? null : answer;
}

/** @param {string} path @param {Record<string, any>} [query] @param {AbortSignal} [signal] */
export const get = (path, query, signal) => call('GET', path, { query, signal });

/** @param {string} path @param {unknown} [body] @param {Record<string, any>} [query] @param {AbortSignal} [signal] */
export const post = (path, body, query, signal) => call('POST', path, { body, query, signal });

/** @param {string} path @param {unknown} body */
export const put = (path, body) => call('PUT', path, { body });

/** @param {string} path @param {Record<string, any>} [query] */
export const del = (path, query) => call('DELETE', path, { query });

/** Whether an error is that of a call that was given up on purpose. @param {unknown} error */
export function isAborted(error) {
  return error instanceof DOMException && error.name === 'AbortError';
}
