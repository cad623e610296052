// The rows of a packet list: some of millions, fetched by pages where they are looked at, and kept within a bound. While
// a task runs its newest rows come by a stream.

import { call, isAborted, stream as open } from '../api.js';

/** @typedef {Record<string, any>} Row a packet as `GET …/packets` gives it */

/** Rows of a page. */
const PAGE = 100;
/** Most pages kept: 5,000 rows. */
const MOST_PAGES = 50;
/** Most rows of a request. */
const MOST_ROWS = 200;
/** Least time between two requests while one scrolls, in milliseconds. */
const PAUSE_MS = 40;
/** Time between two looks at a filter that is still searching, and at a running task without a stream. */
const SEARCH_MS = 80;
const POLL_MS = 1000;

/** Rows of one task, filter and file. Tells `change` (figures or rows), `fault` (the error in `detail`). */
export class Rows extends EventTarget {
  /** Packets in all, those that pass, and those that the filter has looked at. */
  packets = 0;
  matched = 0;
  searched = 0;
  /** Whether the filter has looked at all. */
  complete = false;
  /** Whether the task runs. */
  growing = false;
  /** Whether an answer has come. */
  known = false;
  /** @type {string | null} */
  firstTime = null;
  /** @type {string | null} */
  lastTime = null;
  /** Why not all of a file can be read. @type {string | null} */
  damage = null;

  /** Pages by their numbers; the one used last is last. @type {Map<number, (Row | undefined)[]>} */
  #pages = new Map();
  #want = { from: 0, to: PAGE };
  /** What is being fetched. @type {{from: number, to: number, abort: AbortController} | null} */
  #under = null;
  #timer = 0;
  #startedAt = 0;
  #isStopped = false;
  /** Whether newest rows are wanted, wherever they are. */
  #isFollowing = false;
  /** @type {import('../transport.js').Events | null} */
  #stream = null;
  #isStreaming = false;

  /**
   * @param {string} base path of the packets: `tasks/ID/packets`
   * @param {{filter?: string, file?: string, columns?: string[]}} query
   * @param {boolean} canStream
   */
  constructor(base, query, canStream) {
    super();
    this.base = base;
    this.query = { filter: query.filter ?? '', file: query.file ?? '', columns: (query.columns ?? []).join(',') };
    this.canStream = canStream;
  }

  /** Ends all that is under way. */
  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#under?.abort.abort();
    this.#stream?.close();
    this.#pages.clear();
  }

  /** @param {number} position @returns {Row | undefined} */
  at(position) {
    return this.#pages.get(Math.floor(position / PAGE))?.[position % PAGE];
  }

  /** The row of a packet's number, if it is kept, and its position. @param {number} number */
  find(number) {
    for (const [page, rows] of this.#pages) {
      const at = rows.findIndex((row) => row?.number === number);
      if (at >= 0) return { position: page * PAGE + at, row: /** @type {Row} */ (rows[at]) };
    }
    return null;
  }

  /** How many rows are kept. */
  kept() {
    let count = 0;
    for (const rows of this.#pages.values()) count += rows.filter(Boolean).length;
    return count;
  }

  /**
   * Says which rows are looked at. What else is under way is given up.
   * @param {number} from
   * @param {number} to
   * @param {boolean} [isFollowing] the newest are wanted
   */
  want(from, to, isFollowing = false) {
    this.#want = { from: Math.max(0, from), to };
    this.#isFollowing = isFollowing;
    const under = this.#under;
    if (under && !isFollowing && this.known && (under.to <= from || under.from >= to)) under.abort.abort();
    this.#next();
  }

  /** Changes a row that is kept. @param {number} number @param {Partial<Row>} changes */
  patch(number, changes) {
    const found = this.find(number);
    if (!found) return;
    // Another object, so that what shows it sees the change.
    const page = this.#pages.get(Math.floor(found.position / PAGE));
    if (page) page[found.position % PAGE] = { ...found.row, ...changes };
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event('change'));
  }

  /** First rows that are wanted and not kept. */
  #gap() {
    if (!this.known) return this.#isFollowing ? { from: -MOST_ROWS, to: 0 } : { from: this.#want.from, to: this.#want.from + PAGE };
    const end = Math.min(this.#want.to, this.matched);
    let from = this.#want.from;
    while (from < end && this.at(from)) from += 1;
    if (from >= end) return null;
    // To the end of its page, as one scrolls on.
    const until = Math.min(this.matched, Math.ceil(end / PAGE) * PAGE, from + MOST_ROWS);
    return { from, to: until };
  }

  #next() {
    if (this.#isStopped || this.#under) return;
    const gap = this.#gap();
    const now = performance.now();
    const isPolled = !this.complete || (this.growing && !this.#isStreaming);
    if (!gap && !isPolled) return;
    const pause = gap ? PAUSE_MS : this.complete ? POLL_MS : SEARCH_MS;
    const wait = this.#startedAt + pause - now;
    clearTimeout(this.#timer);
    if (this.known && wait > 0) this.#timer = setTimeout(() => this.#next(), wait);
    else if (this.#isFollowing && !this.#isStreaming) this.#fetch({ from: -MOST_ROWS, to: 0 });
    else this.#fetch(gap ?? { from: this.#want.from, to: this.#want.from + 1 });
  }

  /** @param {{from: number, to: number}} range */
  async #fetch({ from, to }) {
    const abort = new AbortController();
    this.#under = { from, to, abort };
    this.#startedAt = performance.now();
    try {
      const answer = await call('GET', this.base, { query: { ...this.query, from, limit: to - from }, signal: abort.signal });
      if (this.#isStopped) return;
      this.#take(answer);
    } catch (error) {
      if (this.#isStopped) return;
      if (!isAborted(error)) {
        this.dispatchEvent(new CustomEvent('fault', { detail: error }));
        const status = /** @type {any} */ (error).status ?? 0;
        // Wrong stays wrong; what is only away or busy is asked again.
        if (status >= 400 && status < 500 && status !== 429) return this.stop();
        this.#startedAt = performance.now() + 2000;
      }
    } finally {
      if (this.#under?.abort === abort) this.#under = null;
    }
    this.#next();
  }

  /** @param {Record<string, any>} answer */
  #take(answer) {
    this.known = true;
    // While the newest come by the stream, only that moves the end: else it would run away from the rows that are kept.
    if (!this.#isStreaming || !this.#isFollowing) {
      this.packets = answer.packets;
      this.matched = answer.matched;
      this.searched = answer.searched;
    }
    this.complete = answer.complete;
    this.growing = answer.growing;
    this.firstTime = answer.first_time ?? this.firstTime;
    this.lastTime = answer.last_time ?? this.lastTime;
    this.damage = answer.damage ?? null;
    this.#keep(answer.from, answer.rows);
    if (this.growing && this.canStream && !this.#stream) this.#listen();
    this.#tell();
  }

  /** @param {number} from @param {Row[]} rows */
  #keep(from, rows) {
    for (const [index, row] of rows.entries()) {
      const page = Math.floor((from + index) / PAGE);
      let kept = this.#pages.get(page);
      if (!kept || index === 0 || (from + index) % PAGE === 0) {
        kept ??= new Array(PAGE);
        this.#pages.delete(page);
        this.#pages.set(page, kept);
      }
      kept[(from + index) % PAGE] = row;
    }
    for (const page of this.#pages.keys()) {
      if (this.#pages.size <= MOST_PAGES) break;
      const isWanted = (page + 1) * PAGE > this.#want.from && page * PAGE < this.#want.to;
      if (!isWanted) this.#pages.delete(page);
    }
  }

  /** Newest rows and figures as they come. */
  #listen() {
    const { filter, file, columns } = this.query;
    const stream = open(this.base, { follow: 'true', filter, file });
    this.#stream = stream;
    stream.addEventListener('packets', (event) => {
      this.#isStreaming = true;
      const told = JSON.parse(/** @type {MessageEvent} */ (event).data);
      // An answer to a question may be newer.
      if (told.matched < this.matched || told.packets < this.packets) return;
      this.packets = told.packets;
      this.matched = told.matched;
      this.searched = told.searched;
      this.growing = told.growing;
      this.complete = told.complete ?? this.complete;
      this.lastTime = told.rows?.at(-1)?.time ?? this.lastTime;
      // Rows of the stream have no columns that were asked for.
      if (!columns && this.#isFollowing && told.rows) this.#keep(told.matched - told.rows.length, told.rows);
      this.#tell();
      this.#next();
    });
    const end = () => {
      stream.close();
      this.#isStreaming = false;
      this.#next();
    };
    stream.addEventListener('end', end);
    // Asking goes on without the stream; it is opened again by the next answer.
    stream.onerror = () => {
      end();
      setTimeout(() => {
        if (this.#stream === stream) this.#stream = null;
      }, 5000);
    };
  }
}
