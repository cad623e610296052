// The list of packets: rows of one height, of which only those in sight are elements, whatever the number of packets. It
// stays where it is while packets come, unless it follows them.

import { el, set, setText } from '../dom.js';
import * as format from '../format.js';
import { icon } from '../ui.js';
import { t } from '../words.js';

/** @typedef {import('./rows.js').Row} Row */
/** @typedef {import('./rows.js').Rows} Rows */
/** @typedef {import('./columns.js').Column} Column */

/** Height of a row, and of one with two lines, in CSS pixels. */
const ROW = 24;
const TALL_ROW = 50;
/** Browsers end an element at 17 or 33 million pixels: a longer list is scrolled by a scale. */
const MOST_HEIGHT = 8_000_000;
/** Most rows in the page. */
const MOST_ELEMENTS = 200;

/** Where rows have two lines. */
export const narrow = matchMedia('(max-width: 900px)');

/**
 * What a list tells.
 * @typedef {object} Told
 * @property {(position: number, row: Row | undefined) => void} select
 * @property {(position: number, row: Row | undefined) => void} open
 * @property {(target: {row: Row, column: Column}, x: number, y: number) => void} menu
 * @property {() => void} move it follows no more, or again
 */

export class List {
  /** @type {Rows} */
  #rows;
  /** @type {Column[]} */
  #columns = [];
  /** First row in sight, with its fraction. */
  #top = 0;
  /** `scrollTop` as it was set here, so that the event of that is known. */
  #set = 0;
  #height = 0;
  #rowHeight = ROW;
  #touchedAt = -Infinity;
  /** Rows that fitted when it was last drawn. */
  #fitted = 0;
  #frame = 0;
  /** Elements by position modulo their number. @type {{box: HTMLElement, cells: HTMLElement[], position: number, key: any}[]} */
  #pool = [];
  #widths = new Map();

  /** Position of the chosen row, and the column of the chosen cell. */
  selected = -1;
  #column = 0;
  isFollowing = false;
  /** Packets that were there when it stopped following. */
  #frozenAt = 0;

  /** @param {Rows} rows @param {Told} told */
  constructor(rows, told) {
    this.#rows = rows;
    this.told = told;
    this.head = el('div', { class: 'pk-head', role: 'row', 'aria-rowindex': 1 });
    this.heads = el('div', { class: 'pk-head-group', role: 'rowgroup' }, this.head);
    this.body = el('div', { class: 'pk-rows', role: 'rowgroup' });
    this.space = el('div', { class: 'pk-space', role: 'presentation' }, this.body);
    this.element = el('div', { class: 'pk-list', role: 'grid', tabindex: '0', 'aria-label': t('packets.list'), 'aria-readonly': 'true' }, this.heads, this.space);
    this.element.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.element.addEventListener('wheel', (/** @type {WheelEvent} */ event) => this.#wheel(event), { passive: false });
    for (const name of ['touchstart', 'touchmove', 'touchend']) {
      this.element.addEventListener(name, () => { this.#touchedAt = performance.now(); }, { passive: true });
    }
    this.body.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => this.#pressed(event));
    this.body.addEventListener('dblclick', () => this.told.open(this.selected, this.row()));
    this.body.addEventListener('contextmenu', (/** @type {MouseEvent} */ event) => this.#menu(event));
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.observer = new ResizeObserver(() => this.render());
    this.observer.observe(this.element);
    this.onnarrow = () => { this.#pool = []; this.body.replaceChildren(); this.#measure(); this.render(); };
    narrow.addEventListener('change', this.onnarrow);
    this.onchange = () => this.render();
    rows.addEventListener('change', this.onchange);
    this.#measure();
  }

  stop() {
    this.observer.disconnect();
    narrow.removeEventListener('change', this.onnarrow);
    this.#rows.removeEventListener('change', this.onchange);
    cancelAnimationFrame(this.#frame);
  }

  #measure() {
    this.#rowHeight = narrow.matches ? TALL_ROW : ROW;
  }

  /** Shows other rows from their begin. @param {Rows} rows */
  setRows(rows) {
    this.#rows.removeEventListener('change', this.onchange);
    this.#rows = rows;
    rows.addEventListener('change', this.onchange);
    this.selected = -1;
    this.#top = 0;
    this.#frozenAt = 0;
    for (const slot of this.#pool) slot.key = null;
    this.render();
  }

  /** @param {Column[]} columns */
  setColumns(columns) {
    this.#columns = columns;
    this.#column = Math.min(this.#column, columns.length - 1);
    this.#widths.clear();
    this.#pool = [];
    this.body.replaceChildren();
    this.head.replaceChildren(...columns.map((column, index) => el('div', { class: `pk-cell pk-${column.kind}`, role: 'columnheader', 'aria-colindex': index + 1 },
      el('span', { class: 'clip', title: column.title ?? column.label }, column.label), column.tools?.())));
    set(this.element, { 'aria-colcount': columns.length });
    this.render();
  }

  /** The row that is chosen, if it is known. */
  row() {
    return this.selected < 0 ? undefined : this.#rows.at(this.selected);
  }

  /** Packets that came since it stopped following. */
  fresh() {
    return this.#rows.growing && !this.isFollowing ? Math.max(0, this.#rows.matched - this.#frozenAt) : 0;
  }

  /** Rows that fit. */
  #visible() {
    return Math.max(1, (this.element.clientHeight - this.heads.offsetHeight) / this.#rowHeight);
  }

  /** @param {boolean} isFollowing */
  follow(isFollowing) {
    if (this.isFollowing === isFollowing) return;
    this.isFollowing = isFollowing;
    if (!isFollowing) this.#frozenAt = this.#rows.matched;
    this.render();
    this.told.move();
  }

  /**
   * Chooses a row and brings it in sight.
   * @param {number} position
   * @param {{quiet?: boolean, center?: boolean}} [options] `quiet`: without telling
   */
  select(position, options = {}) {
    const last = Math.max(0, this.#rows.matched - 1);
    const to = Math.max(0, Math.min(position, last));
    if (this.#rows.matched === 0 && this.#rows.known) return;
    this.selected = to;
    this.follow(false);
    const visible = this.#visible();
    const isOutside = to < this.#top || to > this.#top + visible - 1;
    if (options.center && isOutside) this.#goTo(to - visible / 2);
    else if (to < this.#top) this.#goTo(to);
    else if (to > this.#top + visible - 1) this.#goTo(to - visible + 1);
    this.render();
    if (!options.quiet) this.told.select(to, this.#rows.at(to));
  }

  /** Chooses none. */
  clear() {
    this.selected = -1;
    this.render();
  }

  /** @param {number} by */
  move(by) {
    if (this.selected >= 0) this.select(this.selected + by);
    else if (this.isFollowing) this.select(this.#rows.matched - 1);
    else this.select(Math.floor(this.#top) + (by > 0 ? 0 : Math.floor(this.#visible()) - 1));
  }

  /** Rows of a page. */
  page() {
    return Math.max(1, Math.floor(this.#visible()) - 1);
  }

  /** To the last row; of a running task it then follows. */
  end() {
    if (this.#rows.growing) {
      this.clear();
      this.follow(true);
    } else {
      this.select(this.#rows.matched - 1);
    }
  }

  /** @param {number} top */
  #goTo(top) {
    const most = Math.max(0, this.#rows.matched - this.#visible());
    this.#top = Math.max(0, Math.min(top, most));
    this.#sync();
  }

  /** Brings `scrollTop` to where the first row is. */
  #sync() {
    const most = this.#rows.matched - this.#visible();
    const range = this.element.scrollHeight - this.element.clientHeight;
    const to = most <= 0 ? 0 : this.#isScaled() ? (this.#top / most) * range : this.#top * this.#rowHeight;
    if (Math.abs(this.element.scrollTop - to) >= 1) this.element.scrollTop = to;
    this.#set = this.element.scrollTop;
  }

  #isScaled() {
    return this.#rows.matched * this.#rowHeight > MOST_HEIGHT;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    const by = scrollTop - this.#set;
    this.#set = scrollTop;
    if (Math.abs(by) < 1) return;
    const most = Math.max(0, this.#rows.matched - this.#visible());
    const range = scrollHeight - clientHeight;
    if (!this.#isScaled()) this.#top = scrollTop / this.#rowHeight;
    // A finger moves rows, a scroll bar the whole list.
    else if (performance.now() - this.#touchedAt < 2500 && scrollTop > 0 && scrollTop < range) this.#top += by / this.#rowHeight;
    else this.#top = range > 0 ? (scrollTop / range) * most : 0;
    this.#top = Math.max(0, Math.min(this.#top, most));
    this.#moved(by);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!this.#isScaled() || event.ctrlKey || event.deltaY === 0) return;
    // Scrolled by the scale a notch would be hundreds of rows.
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY : event.deltaMode === WheelEvent.DOM_DELTA_PAGE
      ? event.deltaY * this.page() : event.deltaY / this.#rowHeight;
    this.#goTo(this.#top + lines);
    this.#moved(event.deltaY);
  }

  /** @param {number} by */
  #moved(by) {
    const isAtEnd = this.#top + this.#visible() >= this.#rows.matched - 0.5;
    if (by < 0) this.follow(false);
    else if (isAtEnd && this.#rows.growing && this.selected < 0) this.follow(true);
    this.render();
  }

  /** @param {Event} event */
  #cellOf(event) {
    const cell = /** @type {HTMLElement} */ (event.target).closest('.pk-cell');
    const box = cell?.parentElement;
    const slot = this.#pool.find((one) => one.box === box);
    const column = slot ? slot.cells.indexOf(/** @type {HTMLElement} */ (cell)) : -1;
    return slot && slot.position < this.#rows.matched ? { position: slot.position, column } : null;
  }

  /** @param {PointerEvent} event */
  #pressed(event) {
    const at = this.#cellOf(event);
    if (!at || event.button !== 0) return;
    // A text in a row can be marked by dragging; a row is chosen when the button is released without that.
    this.#column = Math.max(0, at.column);
    const { clientX, clientY } = event;
    const released = (/** @type {PointerEvent} */ up) => {
      const isDragged = Math.abs(up.clientX - clientX) + Math.abs(up.clientY - clientY) > 6;
      if (!isDragged) this.select(at.position);
    };
    addEventListener('pointerup', released, { once: true });
    addEventListener('pointercancel', () => removeEventListener('pointerup', released), { once: true });
  }

  /** @param {MouseEvent} event */
  #menu(event) {
    const at = this.#cellOf(event);
    const row = at && this.#rows.at(at.position);
    if (!at || !row) return;
    event.preventDefault();
    this.#column = Math.max(0, at.column);
    this.select(at.position);
    this.told.menu({ row, column: this.#columns[this.#column] }, event.clientX, event.clientY);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const isMenu = event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey);
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
      const to = this.#column + (event.key === 'ArrowRight' ? 1 : -1);
      this.#column = Math.max(0, Math.min(to, this.#columns.length - 1));
      this.render();
    } else if (isMenu && this.row()) {
      const box = this.#activeCell()?.getBoundingClientRect() ?? this.element.getBoundingClientRect();
      this.told.menu({ row: /** @type {Row} */ (this.row()), column: this.#columns[this.#column] }, box.left + 12, box.bottom);
    } else {
      return;
    }
    event.preventDefault();
  }

  #activeCell() {
    return this.#pool.find(({ position }) => position === this.selected)?.cells[this.#column];
  }

  /** Shows what is to be seen, in the next frame. */
  render() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #draw() {
    const rows = this.#rows;
    if (!this.element.isConnected || this.#columns.length === 0) return;
    const rowHeight = this.#rowHeight;
    const visible = this.#visible();
    const height = Math.min(rows.matched * rowHeight, MOST_HEIGHT);
    if (height !== this.#height) {
      this.#height = height;
      set(this.space, { style: { height: `${height}px` } });
    }
    const bodyHeight = Math.max(0, Math.floor(visible * rowHeight));
    set(this.body, { style: { height: `${bodyHeight}px`, top: `${this.heads.offsetHeight}px` } });
    const most = Math.max(0, rows.matched - visible);
    if (this.isFollowing) this.#top = most;
    else this.#stay(visible);
    this.#top = Math.min(this.#top, most);
    this.#sync();
    const first = Math.floor(this.#top);
    const count = Math.min(Math.ceil(visible) + 1, MOST_ELEMENTS);
    rows.want(this.isFollowing ? first : first - 20, first + count + 20, this.isFollowing);
    this.#resize(count);
    this.#fit(first, Math.min(first + count, rows.matched));
    for (let position = first; position < first + count; position += 1) this.#drawRow(position, rows.matched);
    set(this.element, {
      'aria-rowcount': rows.complete && !rows.growing ? rows.matched + 1 : -1,
      'aria-activedescendant': this.#activeCell()?.id || null,
      'data-scaled': this.#isScaled(),
    });
  }

  /** The chosen row stays in sight where the list becomes lower. @param {number} visible */
  #stay(visible) {
    const wasInSight = this.selected >= this.#top - 0.5 && this.selected <= this.#top + this.#fitted - 0.5;
    if (wasInSight && visible < this.#fitted && this.selected > this.#top + visible - 1) this.#top = this.selected - visible + 1;
    this.#fitted = visible;
  }

  /** @param {number} count */
  #resize(count) {
    if (this.#pool.length === count) return;
    this.#pool = Array.from({ length: count }, (_, index) => {
      const cells = this.#columns.map((column, at) => el('div', { class: `pk-cell pk-${column.kind}`, role: 'gridcell', id: `pk-${index}-${at}`, 'aria-colindex': at + 1 }));
      return { box: el('div', { class: 'pk-row', role: 'row' }, cells), cells, position: -1, key: null };
    });
    this.body.replaceChildren(...this.#pool.map(({ box }) => box));
  }

  /** Makes columns as wide as what they have had to show, and no narrower again. @param {number} from @param {number} to */
  #fit(from, to) {
    if (narrow.matches) return;
    let isWider = this.#widths.size !== this.#columns.length;
    for (const [index, column] of this.#columns.entries()) {
      let width = this.#widths.get(index) ?? columnsOf(column.label) + (column.tools ? 5 : 1);
      if (column.least) width = Math.max(width, column.least);
      for (let position = from; position < to; position += 1) {
        const row = this.#rows.at(position);
        if (row) width = Math.max(width, columnsOf(column.text(row, this.#rows.at(position - 1), this.#rows)));
      }
      width = Math.min(width, column.most ?? 40);
      if (width !== this.#widths.get(index)) {
        this.#widths.set(index, width);
        isWider = true;
      }
    }
    if (!isWider) return;
    const tracks = this.#columns.map((column, index) => column.kind === 'info' ? 'minmax(40ch, 1fr)' : `calc(${this.#widths.get(index)}ch + 17px)`);
    set(this.element, { style: { '--columns': tracks.join(' ') } });
  }

  /** @param {number} position @param {number} total */
  #drawRow(position, total) {
    const slot = this.#pool[position % this.#pool.length];
    const row = position < total ? this.#rows.at(position) : undefined;
    const before = this.#rows.at(position - 1);
    const isSelected = position === this.selected;
    slot.box.style.transform = `translateY(${Math.round((position - this.#top) * this.#rowHeight)}px)`;
    const cell = isSelected ? this.#column : -1;
    const key = [position, row, before, isSelected, cell, position < total];
    if (slot.key && key.every((part, index) => part === slot.key[index])) return;
    slot.key = key;
    slot.position = position;
    set(slot.box, {
      hidden: position >= total, 'aria-rowindex': position + 2, 'aria-selected': String(isSelected),
      'data-odd': position % 2 === 1, 'data-wait': !row, 'data-marked': row?.marked ?? false, 'data-family': row ? family(row) : null,
    });
    for (const [index, column] of this.#columns.entries()) {
      const box = slot.cells[index];
      if (column.draw && row) column.draw(box, row);
      else setText(box, row ? column.text(row, before, this.#rows) : index === 0 ? format.number(position + 1) : '');
      set(box, { 'data-active': index === cell });
    }
  }
}

/** Width of a text in characters, of which those of East Asia take two. @param {string} text */
function columnsOf(text) {
  let width = 0;
  for (const char of text) width += char >= '\u1100' ? 2 : 1;
  return width;
}

/** What colours a row: its kind of protocol, or that something is wrong with it. @param {Row} row */
function family(row) {
  if (row.malformed) return 'bad';
  const name = String(row.protocol).toLowerCase();
  if (/^(dns|mdns|llmnr|nbns|dhcp|dhcpv6|ntp)/.test(name)) return 'name';
  if (/^(tls|ssl|quic|ssh|esp|dtls)/.test(name)) return 'crypt';
  if (/^(http|smtp|ftp|imap|pop|mysql|pgsql|redis|ldap|smb|snmp|telnet)/.test(name)) return 'app';
  if (/^(icmp|igmp|arp)/.test(name)) return 'control';
  return /\[[^\]]*R[^\]]*\]/.test(String(row.info).slice(0, 60)) && name === 'tcp' ? 'reset' : 'plain';
}

/** A sign with a text for those who do not see it. @param {string} name @param {string} text */
export function sign(name, text) {
  return el('span', { class: 'pk-sign', title: text }, icon(name), el('span', { class: 'visually-hidden' }, text));
}
