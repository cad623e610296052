// The conversations of a task: who spoke with whom, how much, how fast, and what went wrong. A click shows the packets.

import { Problem, get, isAborted } from '../api.js';
import { el, replace, set, setText } from '../dom.js';
import * as format from '../format.js';
import { bind } from '../keys.js';
import * as live from '../live.js';
import { FilterBox } from '../packets/filter.js';
import { seconds } from '../packets/columns.js';
import { go, link, place } from '../router.js';
import { taskPart } from '../task_part.js';
import { button, empty, errorText, icon, loading, notice } from '../ui.js';
import { t } from '../words.js';

/** @typedef {import('../router.js').Place} Place */

/** Conversations of a request, most of a request, and most in the page. */
const PAGE = 100;
const MOST_ASKED = 1000;
const MOST = 2000;
/** Time between two looks while packets are still read, and while the task runs, in milliseconds. */
const AGAIN_MS = 150;
const LIVE_MS = 2000;

const PROTOCOLS = /** @type {Record<string, string>} */ ({ tcp: 'TCP', udp: 'UDP', icmp: 'ICMP', icmpv6: 'ICMPv6', sctp: 'SCTP', arp: 'ARP' });

const SORTS = ['bytes', 'packets', 'start', 'duration'];

export const { title, show, update } = taskPart('conversations', 'talks.title', (root, task, at) => {
  const talks = new Talks(task.id, live.isRunning(task));
  root.append(talks.element);
  talks.update(at);
  return talks;
});

class Talks {
  /** @type {any[]} */
  #all = [];
  /** @type {string | null} */
  #cursor = null;
  #abort = new AbortController();
  #timer = 0;
  #selected = -1;
  #filter = '';
  #sort = 'bytes';
  /** Rows and what they were made of, by their conversation. @type {Map<string, {row: HTMLElement, text: string}>} */
  #rows = new Map();

  /** @param {string} id @param {boolean} isRunning */
  constructor(id, isRunning) {
    this.id = id;
    this.isRunning = isRunning;
    this.filter = new FilterBox({ path: 'filter', task: id, apply: (text) => this.#go({ filter: text }) });
    this.figures = el('p', { class: 'muted', role: 'status' });
    this.said = el('div');
    this.head = el('thead');
    this.body = el('tbody');
    this.table = el('div', { class: 'table-box', tabindex: '0', role: 'region', 'aria-label': t('tabs.conversations') }, el('table', { class: 'table' }, this.head, this.body));
    this.more = el('div', { class: 'row' });
    this.element = el('div', { class: 'talks' }, el('div', { class: 'talks-tools' }, this.filter.element), this.said,
      el('div', { class: 'row spread' }, this.figures, el('span', { class: 'row muted' }, el('span', null, el('span', { class: 'talk-key talk-a' }), 'A → B'), el('span', null, el('span', { class: 'talk-key talk-b' }), 'B → A'))),
      this.table, this.more);
    this.onTask = (/** @type {any} */ { detail }) => {
      if (detail?.id !== this.id || this.isRunning === live.isRunning(detail)) return;
      // It begins, or has ended: what came last is not shown yet.
      this.isRunning = live.isRunning(detail);
      this.#load({ isLater: true });
    };
    live.events.addEventListener('task', this.onTask);
    this.unbind = bind({
      j: ['keys.talks_down', () => this.#move(1)],
      k: ['keys.talks_up', () => this.#move(-1)],
      ArrowDown: ['keys.talks_down', () => this.#move(1)],
      ArrowUp: ['keys.talks_up', () => this.#move(-1)],
      Enter: ['keys.talks_open', () => this.#open(this.#all[this.#selected])],
      '/': ['keys.packets_filter', () => this.filter.focus()],
      Escape: ['keys.packets_back', () => (this.#filter ? this.#go({ filter: '' }) : go(['tasks', this.id]))],
    });
  }

  stop() {
    this.#abort.abort();
    clearTimeout(this.#timer);
    live.events.removeEventListener('task', this.onTask);
    this.unbind();
  }

  /** @param {Record<string, string>} changes */
  #go(changes) {
    const { query } = place();
    for (const [key, value] of Object.entries(changes)) {
      if (value) query.set(key, value);
      else query.delete(key);
    }
    go(['tasks', this.id, 'conversations'], query);
  }

  /** @param {Place} at */
  update({ query }) {
    this.#filter = query.get('filter') ?? '';
    const sort = query.get('sort') ?? '';
    this.#sort = SORTS.includes(sort) ? sort : 'bytes';
    const checked = this.filter.set(this.#filter);
    this.#selected = -1;
    this.#heads();
    if (this.#filter) this.#check(checked);
    else this.#load();
  }

  #heads() {
    const cell = (/** @type {string} */ word, /** @type {string} */ sort = '', /** @type {string} */ kind = '') => el('th', { scope: 'col', class: kind, 'aria-sort': sort === this.#sort ? (sort === 'start' ? 'ascending' : 'descending') : null },
      sort ? el('button', { type: 'button', dataset: { sort }, onclick: () => this.#go({ sort }) }, t(word), sort === this.#sort && icon(sort === 'start' ? 'up' : 'down')) : t(word));
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.sort;
    replace(this.head, el('tr', null, cell('talks.protocol'), el('th', { scope: 'col' }, 'A'), el('th', { scope: 'col' }, 'B'), cell('talks.packets', 'packets', 'number'), cell('talks.bytes', 'bytes', 'number'),
      cell('talks.start', 'start'), cell('talks.duration', 'duration', 'number'), cell('talks.handshake', '', 'number'), cell('talks.rtt', '', 'number'), cell('talks.resent', '', 'number'), cell('talks.flags')));
    if (focused) /** @type {HTMLElement | null} */ (this.head.querySelector(`[data-sort=${focused}]`))?.focus();
  }

  /** Uses a filter once it is known to be one: a wrong one would be refused. @param {Promise<boolean>} checked */
  async #check(checked) {
    const filter = this.#filter;
    this.#abort.abort();
    clearTimeout(this.#timer);
    const isRight = await checked;
    if (filter !== this.#filter || !this.element.isConnected) return;
    if (isRight) return void this.#load();
    setText(this.figures, '');
    this.#all = [];
    this.#fill();
    replace(this.said);
    replace(this.more, empty(t('packets.filter_wrong')));
  }

  /**
   * @param {{isMore?: boolean, isLater?: boolean}} [how] `isMore`: the next page, behind what is shown; `isLater`: what is
   *   shown, as it is by now
   */
  async #load({ isMore = false, isLater = false } = {}) {
    clearTimeout(this.#timer);
    this.#abort.abort();
    const abort = new AbortController();
    this.#abort = abort;
    if (!isMore && !isLater && this.#all.length === 0) replace(this.more, loading());
    try {
      const limit = isLater ? Math.min(Math.max(PAGE, this.#all.length), MOST_ASKED) : PAGE;
      const query = { filter: this.#filter, sort: this.#sort, limit, cursor: isMore ? this.#cursor : null };
      const answer = await get(`tasks/${encodeURIComponent(this.id)}/conversations`, query, abort.signal);
      replace(this.said);
      const chosen = this.#all[this.#selected];
      // In a running task one may have come down from the page before.
      const found = isMore ? [...this.#all, ...answer.conversations.filter((/** @type {any} */ talk) => !this.#rows.has(keyOf(talk)))] : answer.conversations;
      // Nothing moves under a pointer or the focus.
      this.#all = isLater && this.#isWatched() ? inOrder(found, this.#all) : found;
      this.#selected = chosen ? this.#all.findIndex((talk) => keyOf(talk) === keyOf(chosen)) : -1;
      this.#cursor = answer.next_cursor ?? null;
      this.#draw(answer);
      // While the packets are still read the first page is asked for again, and while the task runs what is shown.
      if (!answer.complete && !isMore) this.#timer = setTimeout(() => this.#load({ isLater }), AGAIN_MS);
      else this.#later();
    } catch (error) {
      if (isAborted(error)) return;
      if (!(error instanceof Problem) || error.status >= 500) this.#later();
      const faults = /** @type {any} */ (error).errors?.filter((/** @type {any} */ fault) => fault.pointer === '/filter') ?? [];
      if (faults.length > 0) this.filter.fail(faults);
      else replace(this.said, notice('high', errorText(error)));
      replace(this.more);
    }
  }

  /** Asks again in a while, where there may be something new. Beyond the most of a request there is only a part to ask for. */
  #later() {
    if (!this.isRunning || this.#all.length > MOST_ASKED) return;
    this.#timer = setTimeout(() => (document.hidden ? this.#later() : this.#load({ isLater: true })), LIVE_MS);
  }

  #isWatched() {
    return this.body.matches(':hover') || this.body.contains(document.activeElement);
  }

  /** Shows the rows of all conversations. One that is there stays, with the focus in it. */
  #fill() {
    const rows = new Map();
    this.#all.forEach((talk, index) => {
      const key = keyOf(talk);
      const text = JSON.stringify(talk);
      const known = this.#rows.get(key);
      const row = known?.row ?? this.#row(talk);
      if (known && known.text !== text) {
        const hasFocus = row.contains(document.activeElement);
        row.replaceChildren(...this.#row(talk).childNodes);
        if (hasFocus) row.querySelector('a')?.focus({ preventScroll: true });
      }
      set(row, { 'aria-selected': index === this.#selected ? 'true' : null });
      rows.set(key, { row, text });
      if (this.body.children[index] !== row) this.body.insertBefore(row, this.body.children[index] ?? null);
    });
    while (this.body.children.length > rows.size) this.body.lastElementChild?.remove();
    this.#rows = rows;
  }

  /** @param {any} answer */
  #draw(answer) {
    setText(this.figures, answer.complete ? t('talks.total', { count: answer.total }) : t('talks.reading', { count: answer.total, searched: answer.searched }));
    this.#fill();
    const canMore = this.#cursor && this.#all.length < MOST;
    replace(this.more, this.#all.length === 0 && answer.complete ? empty(t('talks.none')) : canMore ? button('talks.more', () => this.#load({ isMore: true })) : this.#cursor ? el('p', { class: 'muted' }, t('talks.most', { count: MOST })) : null);
  }

  /** @param {any} talk */
  #open(talk) {
    if (talk) go(['tasks', this.id, 'packets'], { filter: talk.filter, n: talk.first_packet });
  }

  /** @param {any} talk @returns {HTMLElement} */
  #row(talk) {
    const end = (/** @type {string} */ address, /** @type {number | null} */ port) => (port === null || port === undefined ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
    const micro = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? '–' : format.duration(value / 1e6));
    const total = talk.bytes.a + talk.bytes.b;
    const share = total > 0 ? talk.bytes.a / total : 0;
    const length = Number(seconds(talk.first, talk.last, 6).replace('−', '-') || 0);
    const number = (/** @type {number | null | undefined} */ value, /** @type {boolean} */ isBad) => el('td', { class: isBad && value ? 'number talk-resent talk-bad' : 'number talk-resent' }, value === null || value === undefined ? '–' : format.number(value));
    const href = link(['tasks', this.id, 'packets'], { filter: talk.filter, n: talk.first_packet });
    return el('tr', { onclick: (/** @type {MouseEvent} */ event) => {
      if (!(/** @type {HTMLElement} */ (event.target).closest('a')) && !getSelection()?.toString()) this.#open(talk);
    } },
    el('td', { class: 'talk-protocol' }, PROTOCOLS[talk.protocol] ?? String(talk.protocol)),
    el('td', { class: 'talk-a-end' }, el('a', { class: 'talk-end', href, 'aria-label': t('talks.open', { a: end(talk.a, talk.a_port), b: end(talk.b, talk.b_port) }) }, end(talk.a, talk.a_port))),
    el('td', { class: 'talk-end talk-b-end' }, end(talk.b, talk.b_port)),
    el('td', { class: 'number talk-packets' }, `${format.number(talk.packets.a)} | ${format.number(talk.packets.b)}`),
    el('td', { class: 'number talk-bytes' }, `${format.bytes(talk.bytes.a)} | ${format.bytes(talk.bytes.b)}`,
      el('div', { class: 'talk-bar', 'aria-hidden': 'true' }, el('span', { class: 'talk-a', style: { width: `${share * 100}%` } }), el('span', { class: 'talk-b', style: { width: `${(1 - share) * 100}%` } }))),
    el('td', { class: 'mono', title: talk.first ? format.dateTime(talk.first) : null }, talk.first ? format.packetTime(talk.first, 3) : '–'),
    el('td', { class: 'number talk-duration' }, format.duration(length)),
    el('td', { class: 'number' }, micro(talk.handshake_us)),
    el('td', { class: 'number' }, micro(talk.rtt_us)),
    number(talk.retransmissions, true),
    el('td', { class: 'mono' }, flags(talk)));
  }

  /** @param {number} by */
  #move(by) {
    const last = this.#all.length - 1;
    if (last < 0) return;
    this.#selected = Math.max(0, Math.min(this.#selected + by, last));
    for (const [index, row] of [...this.body.children].entries()) set(row, { 'aria-selected': index === this.#selected ? 'true' : null });
    this.body.children[this.#selected]?.scrollIntoView({ block: 'nearest' });
  }
}

/** What makes it the same conversation in a later answer. @param {any} talk */
const keyOf = (talk) => `${talk.first_packet} ${talk.filter}`;

/**
 * Conversations in the order of those that are shown; new ones behind them.
 * @param {any[]} found
 * @param {any[]} shown
 */
function inOrder(found, shown) {
  const places = new Map(shown.map((talk, index) => [keyOf(talk), index]));
  const placeOf = (/** @type {any} */ talk) => places.get(keyOf(talk)) ?? shown.length;
  return found.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** @param {any} talk */
function flags(talk) {
  const text = Array.isArray(talk.flags) ? talk.flags.join(' ') : talk.flags ?? '';
  return [text, talk.resets ? el('span', { class: 'talk-bad' }, ` ${t('talks.resets', { count: talk.resets })}`) : null];
}
