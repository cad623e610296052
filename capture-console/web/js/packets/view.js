// The packet view: filter, list, fields and bytes, put together. What it shows is in the address of the page.

import { address, get, isAborted, put } from '../api.js';
import { el, replace, set, setText } from '../dom.js';
import * as format from '../format.js';
import { bind, press } from '../keys.js';
import { go, place, setQuery } from '../router.js';
import { attempt, button, copy, dialog, errorText, icon, menu, notice, toast } from '../ui.js';
import { t } from '../words.js';
import { clipped, columns } from './columns.js';
import { Detail, hasStream } from './detail.js';
import { FilterBox } from './filter.js';
import { List, narrow } from './list.js';
import { filterItems, menuAt } from './popup.js';
import { Rows } from './rows.js';
import { splitter } from './split.js';
import { showStream } from './stream.js';

/** @typedef {import('./rows.js').Row} Row */
/** @typedef {import('../router.js').Place} Place */

/**
 * Whose packets are shown.
 * @typedef {object} Source
 * @property {string} path of the API, below which `packets` is: `tasks/ID`
 * @property {string} filter path of the API for what is said of filters
 * @property {string | null} task its ID, where there may be more than a look: notes, news, export
 * @property {boolean} isRunning
 * @property {boolean} sharkd whether Wireshark's decoder is there
 * @property {{index: number, name: string}[]} files
 */

/** Most columns that one may add, and bytes of a comment. */
const MOST_COLUMNS = 8;
const MOST_COMMENT = 4096;

export class View {
  /** @type {Rows} */
  rows;
  #stopKeys = () => {};
  /** Where the list is to go as soon as it can. @type {{position: number, number: number | null} | null} */
  #pending = null;
  #opened = 0;
  #isInStream = false;
  /** Whether the fields get the focus as soon as they are there. */
  #wantsTree = false;

  /** @param {HTMLElement} root @param {Source} source @param {Place} at */
  constructor(root, source, at) {
    this.root = root;
    this.source = source;
    this.base = `${source.path}/packets`;
    this.time = stored();
    this.query = read(at);
    this.filter = new FilterBox({ path: source.filter, task: source.task, apply: (text) => this.applyFilter(text) });
    this.rows = new Rows(this.base, this.query, source.task !== null);
    this.list = new List(this.rows, {
      select: (_, row) => {
        this.#pending = null;
        this.#selected(row);
      },
      open: () => this.#toTree(),
      menu: ({ row, column }, x, y) => this.#cellMenu(row, column, x, y),
      move: () => this.#status(),
    });
    this.detail = new Detail(this.base, {
      close: () => this.close(),
      goTo: (number) => this.goTo(number),
      follow: () => this.follow(),
      mark: () => this.mark(),
      comment: () => this.comment(),
      apply: (text) => this.applyFilter(text),
      filter: () => this.query.filter,
      addColumn: (field) => this.addColumn(field),
      loaded: () => {
        if (this.#wantsTree) this.#toTree();
        if (this.query.stream) this.follow();
      },
    }, { notes: this.#hasNotes(), sharkd: source.sharkd });
    this.figures = el('div', { class: 'pk-figures', role: 'status' });
    this.progress = el('progress', { class: 'pk-progress', max: 1, 'aria-label': t('packets.searching'), hidden: true });
    this.pill = el('button', { type: 'button', class: 'pk-pill', hidden: true, onclick: () => { this.list.clear(); this.list.follow(true); } });
    this.blank = el('div', { class: 'pk-blank', hidden: true });
    this.said = el('div', { class: 'pk-said' });
    this.stack = el('div', { class: 'pk-stack' },
      el('div', { class: 'pk-list-box' }, this.list.element, this.blank, this.pill),
      this.bar = splitter('packets', 'horizontal', t('packets.split'), 0.56, (share) => this.stack ? this.#share(share) : queueMicrotask(() => this.#share(share))),
      this.detail.element);
    root.append(el('div', { class: 'pk-tools' }, this.filter.element, this.#menus()), this.said, this.stack, el('footer', { class: 'pk-foot' }, this.figures, this.progress));
    set(this.bar, { hidden: true });
    this.onnarrow = () => this.#columns();
    narrow.addEventListener('change', this.onnarrow);
    this.#columns();
    this.#keys();
    this.open();
  }

  stop() {
    this.rows.stop();
    this.list.stop();
    this.detail.stop();
    this.#stopKeys();
    narrow.removeEventListener('change', this.onnarrow);
  }

  #hasNotes() {
    // In one file of several, numbers are not those of the task.
    return this.source.task !== null && (!this.query.file || this.query.file === '0');
  }

  /** @param {number} share */
  #share(share) {
    set(this.stack, { style: { '--first': `${(share * 100).toFixed(1)}%` } });
  }

  /** Takes another place of the same page. @param {Place} at */
  update(at) {
    const next = read(at);
    const old = this.query;
    const isSame = next.filter === old.filter && next.file === old.file && next.time === old.time && next.columns.join() === old.columns.join();
    this.query = next;
    if (isSame) {
      if (next.n && next.n !== this.detail.number) this.goTo(next.n);
      return;
    }
    this.#columns();
    this.open();
  }

  /** Shows what the address says. */
  async open() {
    this.#opened += 1;
    const mine = this.#opened;
    const { filter, file, n, time } = this.query;
    const checked = this.filter.set(filter);
    this.rows.stop();
    this.rows = new Rows(this.base, this.query, this.source.task !== null);
    this.rows.addEventListener('change', () => this.#changed());
    this.rows.addEventListener('fault', (event) => this.#failed(/** @type {CustomEvent} */ (event).detail));
    replace(this.said);
    this.#pending = null;
    if (filter && !(await checked)) {
      if (mine === this.#opened) this.#wrong();
      return;
    }
    if (mine !== this.#opened) return;
    this.list.isFollowing = this.source.isRunning && !n && !time;
    if (!n) this.detail.clear();
    this.#layout();
    const rows = this.rows;
    if (n && !filter) this.#pending = { position: n - 1, number: n };
    if (this.#pending) rows.want(this.#pending.position - 50, this.#pending.position + 50);
    this.list.setRows(rows);
    if (n && filter) await this.#aim('position', { number: n }, n);
    else if (time && !n) await this.#aim('at', { time }, null);
  }

  /**
   * Asks where something is in the list, and goes there.
   * @param {'position' | 'at'} call
   * @param {Record<string, any>} query
   * @param {number | null} number of the packet that is meant
   */
  async #aim(call, query, number) {
    const mine = this.#opened;
    const { filter, file } = this.query;
    try {
      let answer;
      do {
        answer = await get(`${this.base}/${call}`, { ...query, filter, file });
        if (mine !== this.#opened) return;
      } while (answer.complete === false);
      this.#pending = { position: answer.position, number };
      this.#arrive();
    } catch (error) {
      if (!isAborted(error) && mine === this.#opened) this.#failed(error);
    }
  }

  /** Chooses the row that was aimed at, and looks whether it is the one that was meant once it is there. */
  #arrive() {
    const aim = this.#pending;
    const { rows, list } = this;
    if (!aim || !rows.known) return;
    if (rows.matched <= aim.position) {
      if (!rows.complete) return;
      this.#pending = null;
      if (aim.number) toast(t('packets.no_number', { number: aim.number }), 'info');
      if (rows.matched > 0) list.select(rows.matched - 1, { quiet: true, center: true });
      return;
    }
    if (list.selected !== aim.position) list.select(aim.position, { quiet: true, center: true });
    const row = rows.at(aim.position);
    if (!row) return;
    this.#pending = null;
    if (aim.number === null || row.number === aim.number) return this.#selected(row);
    list.clear();
    toast(t('packets.not_in_filter', { number: aim.number }), 'info');
  }

  #changed() {
    this.#arrive();
    this.#status();
    const row = this.list.row();
    if (row && this.detail.packet && row.number === this.detail.number) {
      const old = this.detail.packet.row ?? {};
      if (old.marked !== row.marked || old.comment !== row.comment) {
        this.detail.packet.row = { ...old, marked: row.marked, comment: row.comment };
        this.detail.showTools();
      }
    } else if (row && this.detail.number !== row.number && !this.#pending) {
      this.#selected(row);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    const faults = /** @type {any} */ (error).errors?.filter((/** @type {any} */ fault) => fault.pointer === '/filter') ?? [];
    if (faults.length > 0) {
      this.filter.fail(faults);
      this.#wrong();
    } else {
      replace(this.said, notice('high', errorText(error)));
    }
  }

  #wrong() {
    this.rows.stop();
    this.list.setRows(this.rows);
    setText(this.figures, '');
    this.#blank(t('packets.filter_wrong'));
  }

  /** @param {string} title */
  #blank(title) {
    replace(this.blank, el('h2', null, title));
    set(this.blank, { hidden: false });
  }

  #status() {
    const { rows } = this;
    if (rows.known) replace(this.said, rows.damage && notice('warn', rows.damage));
    const searched = rows.packets > 0 ? rows.searched / rows.packets : 1;
    const parts = [];
    if (rows.known) {
      parts.push(this.query.filter
        ? t('packets.figures_filtered', { matched: rows.matched, packets: rows.packets, share: format.percent(rows.packets ? rows.matched / rows.packets : 0) })
        : t('packets.figures', { count: rows.packets }));
      if (!rows.complete && !rows.growing) parts.push(t(this.query.filter ? 'packets.searched' : 'packets.reading', { share: format.percent(searched, 0) }));
      if (rows.growing) parts.push(t(this.list.isFollowing ? 'packets.following' : 'packets.held'));
    }
    setText(this.figures, parts.join(' · '));
    set(this.progress, { hidden: rows.complete || rows.growing || !rows.known });
    this.progress.value = searched;
    const fresh = this.list.fresh();
    set(this.pill, { hidden: fresh === 0 });
    if (fresh > 0) replace(this.pill, t('packets.fresh', { count: fresh }), icon('down'));
    if (rows.known && rows.matched > 0) set(this.blank, { hidden: true });
    else if (rows.known && rows.growing) this.#blank(t(this.query.filter ? 'packets.none_yet_filtered' : 'packets.none_yet'));
    else if (rows.known && rows.complete) this.#blank(t(this.query.filter ? 'packets.none_filtered' : 'packets.none'));
    else if (!rows.known) this.#blank(t('action.loading'));
    else this.#blank(t('packets.searching'));
  }

  /** @param {Row | undefined} row */
  #selected(row) {
    if (!row) return;
    const { file } = this.query;
    this.query.n = row.number;
    setQuery({ n: row.number, time: null });
    this.detail.show(row.number, { file });
    this.#layout();
    this.#status();
  }

  /** The list has all the room while no packet is shown. */
  #layout() {
    const isOpen = !this.detail.element.hidden;
    if (this.stack.hasAttribute('data-open') === isOpen) return;
    set(this.stack, { 'data-open': isOpen });
    set(this.bar, { hidden: !isOpen });
    this.list.render();
  }

  /** Shows no packet any more. */
  close() {
    this.query.n = 0;
    setQuery({ n: null, stream: null });
    this.list.clear();
    this.detail.clear();
    this.#layout();
    this.list.element.focus({ preventScroll: true });
  }

  /** To the fields, at once or when they come. */
  #toTree() {
    this.#wantsTree = this.detail.packet?.number !== this.detail.number && this.detail.packet?.row?.number !== this.detail.number;
    if (!this.#wantsTree) this.detail.tree.focus();
  }

  #escape() {
    const isInDetail = this.detail.element.contains(document.activeElement);
    if (isInDetail) this.list.element.focus({ preventScroll: true });
    else if (!this.detail.element.hidden) this.close();
    else if (this.query.filter) this.applyFilter('');
    else if (this.source.task) go(['tasks', this.source.task]);
  }

  /** @param {string} text */
  applyFilter(text) {
    const { query } = place();
    if (text === this.query.filter) {
      // Once more, as after an error.
      if (!this.rows.known) this.open();
      this.list.element.focus({ preventScroll: true });
      return;
    }
    if (text) query.set('filter', text);
    else query.delete('filter');
    query.delete('time');
    go(place().path, query);
    this.list.element.focus({ preventScroll: true });
  }

  /** Goes to a packet by its number. @param {number} number */
  goTo(number) {
    if (!number) return;
    const found = this.rows.find(number);
    if (found) return this.list.select(found.position, { center: true });
    this.list.follow(false);
    if (this.query.filter) return void this.#aim('position', { number }, number);
    this.#pending = { position: number - 1, number };
    this.#arrive();
  }

  async follow() {
    const { packet, number } = this.detail;
    const { file } = this.query;
    if (this.#isInStream || !number) return;
    this.#isInStream = true;
    setQuery({ stream: this.query.stream || 'both' });
    const before = packet?.conversation ?? null;
    await showStream(this.base, number, {
      side: this.query.stream || 'both', query: { file }, conversation: before, canSave: this.source.task !== null,
      change: (side) => setQuery({ stream: side }),
      goTo: (to) => this.goTo(to),
      apply: (text) => this.applyFilter(text),
    });
    this.#isInStream = false;
    this.query.stream = '';
    setQuery({ stream: null });
  }

  /** @param {{marked?: boolean, comment?: string | null}} changes */
  async #note(changes) {
    const row = this.list.row();
    if (!row || !this.source.task || !this.#hasNotes()) return;
    const note = { marked: row.marked ?? false, comment: row.comment ?? null, ...changes };
    await attempt(async () => {
      await put(`${this.source.path}/notes/${row.number}`, note);
      this.rows.patch(row.number, note);
    });
  }

  mark() {
    this.#note({ marked: !this.list.row()?.marked });
  }

  async comment() {
    const row = this.list.row();
    if (!row || !this.#hasNotes() || !this.source.task) return;
    const area = el('textarea', { rows: 5, maxlength: MOST_COMMENT, autofocus: true, 'aria-label': t('packets.comment') });
    area.value = row.comment ?? '';
    const said = el('p', { class: 'help' }, t('packets.comment_help'));
    const chosen = await dialog(t('packets.comment_title', { number: row.number }), el('div', { class: 'stack' }, area, said),
      [{ label: t('action.cancel'), value: '' }, { label: t('packets.save'), value: 'save', kind: 'primary' }], 'narrow');
    if (chosen === 'save') this.#note({ comment: area.value.trim() || null });
  }

  /** @param {string} field */
  addColumn(field) {
    const fields = this.query.columns;
    if (fields.includes(field)) return;
    if (fields.length >= MOST_COLUMNS) return toast(t('packets.columns_most', { count: MOST_COLUMNS }), 'info');
    this.#setFields([...fields, field]);
  }

  /** @param {string[]} fields */
  #setFields(fields) {
    setQuery({ columns: fields.join(',') });
    const selected = this.query.n;
    this.query = { ...this.query, columns: fields, n: selected };
    this.#columns();
    this.open();
  }

  #columns() {
    this.list.setColumns(columns(this.time, this.query.columns, narrow.matches, (field) => this.#setFields(this.query.columns.filter((one) => one !== field))));
  }

  #menus() {
    const { source } = this;
    const line = /** @type {'line'} */ ('line');
    const setTime = (/** @type {Partial<import('./columns.js').TimeFormat>} */ changes) => {
      this.time = { ...this.time, ...changes };
      localStorage.setItem('packets.time', JSON.stringify(this.time));
      this.#columns();
    };
    const viewMenu = () => [
      ...(/** @type {const} */ (['absolute', 'start', 'delta'])).map((mode) => ({ label: t(`packets.show_${mode}`), checked: this.time.mode === mode, run: () => setTime({ mode }) })),
      line,
      ...(/** @type {const} */ ([6, 9])).map((digits) => ({ label: t(digits === 6 ? 'packets.microseconds' : 'packets.nanoseconds'), checked: this.time.digits === digits, run: () => setTime({ digits }) })),
      line,
      { label: t('packets.go_to'), run: () => this.askNumber() },
      this.filter.tshark() !== '' && { label: t('packets.filter_tshark'), run: () => copy(this.filter.tshark()) },
      line,
      { label: t('packets.column_new'), run: () => this.#askColumn() },
      ...this.query.columns.map((field) => ({ label: t('packets.column_remove', { name: field }), run: () => this.#setFields(this.query.columns.filter((one) => one !== field)) })),
      ...(source.files.length > 1 ? [line, { label: t('packets.all_files'), checked: !this.query.file, run: () => this.#file('') },
        ...source.files.slice(0, 200).map(({ index, name }) => ({ label: el('bdi', null, clipped(name)), checked: this.query.file === String(index), run: () => this.#file(String(index)) }))] : []),
    ];
    const saveMenu = () => {
      const { filter, file } = this.query;
      const packet = this.detail.number;
      return [
        { label: el('span', { class: 'menu-two' }, t(filter ? 'packets.export_shown' : 'packets.export_all'), el('small', { class: 'muted' }, t('packets.export_help'))), href: address(`${source.path}/export`, { filter, file }), download: true },
        packet > 0 && { label: t('packets.export_one', { number: packet }), href: address(`${source.path}/export`, { file, from_number: packet, until_number: packet }), download: true },
        packet > 0 && { label: t('packets.export_from', { number: packet }), href: address(`${source.path}/export`, { filter, file, from_number: packet }), download: true },
        source.files.length > 0 && line,
        ...source.files.slice(0, 200).map(({ index, name }) => ({ label: el('span', { class: 'menu-two' }, el('bdi', null, clipped(name)), el('small', { class: 'muted' }, t('packets.file_help'))), href: address(`${source.path}/files/${index}`), download: true })),
      ];
    };
    const label = (/** @type {string} */ sign, /** @type {string} */ word) => [icon(sign), el('span', { class: 'pk-word' }, t(word)), icon('down')];
    return el('div', { class: 'row pk-menus' },
      menu(label('eye', 'packets.view'), viewMenu, { class: 'button', 'aria-label': t('packets.view') }),
      source.task && menu(label('download', 'packets.save_as'), saveMenu, { class: 'button', 'aria-label': t('packets.save_as') }),
      button('packets.go_to', () => this.askNumber(), { kind: 'quiet pk-goto', icon: 'goto', iconOnly: true }));
  }

  /** @param {string} file */
  #file(file) {
    const { query } = place();
    if (file) query.set('file', file);
    else query.delete('file');
    query.delete('n');
    go(place().path, query);
  }

  async #askColumn() {
    const list = el('datalist', { id: 'column-fields' });
    const input = el('input', { type: 'text', class: 'mono', list: 'column-fields', autofocus: true, autocomplete: 'off', spellcheck: 'false', 'aria-label': t('packets.column_field'), placeholder: 'ip.ttl', maxlength: 100,
      oninput: async () => {
        const found = await get(`${this.source.filter}/fields`, { prefix: input.value, limit: 20 }).catch(() => null);
        if (found) replace(list, found.fields.map((/** @type {any} */ field) => el('option', { value: field.name }, field.label)));
      } });
    const chosen = await dialog(t('packets.column_new'), el('div', { class: 'stack' }, el('label', null, t('packets.column_field')), input, list),
      [{ label: t('action.cancel'), value: '' }, { label: t('packets.add'), value: 'add', kind: 'primary' }], 'narrow');
    if (chosen === 'add' && input.value.trim()) this.addColumn(input.value.trim());
  }

  /** Asks for a number, and goes there. A letter is the second of two keys: `g t`. */
  async askNumber() {
    const input = el('input', { type: 'text', inputmode: 'numeric', autofocus: true, autocomplete: 'off', 'aria-label': t('packets.number_title'), maxlength: 15 });
    let pair = '';
    const chosen = await dialog(t('packets.go_to'), (/** @type {(value: string) => void} */ close) => {
      input.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
        if (input.value !== '' || !/^[a-z]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        pair = `g ${event.key}`;
        close('');
      });
      return el('div', { class: 'stack' }, input, el('p', { class: 'help' }, t('packets.go_to_help', { packets: this.rows.packets })));
    }, [{ label: t('action.cancel'), value: '' }, { label: t('packets.go'), value: 'go', kind: 'primary' }], 'narrow');
    const number = Number(input.value.replace(/\D/g, ''));
    if (pair) press(pair);
    else if (chosen === 'go' && number > 0) this.goTo(number);
  }

  /**
   * What can be done with a cell. Its filter is that of the packet's field, as the service has it.
   * @param {Row} row
   * @param {import('./columns.js').Column} column
   * @param {number} x
   * @param {number} y
   */
  async #cellMenu(row, column, x, y) {
    const { filter, file } = this.query;
    const packet = this.detail.number === row.number && this.detail.packet ? this.detail.packet
      : await attempt(() => get(`${this.base}/${row.number}`, { file }));
    if (!packet) return;
    const text = column.text(row, undefined, this.rows);
    const own = filterOf(packet, row, column);
    const fields = this.query.columns;
    menuAt(x, y, () => [
      ...filterItems(own, filter, (made) => this.applyFilter(made)),
      own && 'line',
      packet.conversation && { label: t('packets.conversation'), run: () => this.applyFilter(packet.conversation) },
      hasStream(packet) && { label: t('packets.follow'), run: () => this.follow() },
      'line',
      text !== '' && { label: t('packets.copy_value'), run: () => copy(text) },
      own && { label: t('packets.copy_filter'), run: () => copy(own) },
      { label: t('packets.copy_row'), run: () => copy([row.number, row.time, row.source, row.destination, row.protocol, row.length, row.info].join('\t')) },
      { label: t('packets.copy_link'), run: () => copy(location.href) },
      column.field && 'line',
      column.field && { label: t('packets.column_remove', { name: column.field }), run: () => this.#setFields(fields.filter((one) => one !== column.field)) },
      this.#hasNotes() && 'line',
      this.#hasNotes() && { label: t(row.marked ? 'packets.unmark' : 'packets.mark'), run: () => this.mark() },
      this.#hasNotes() && { label: t('packets.comment'), run: () => this.comment() },
    ]);
  }

  #keys() {
    const { list } = this;
    const move = (/** @type {number} */ by) => () => list.move(by);
    const inConversation = (/** @type {'previous_in_stream' | 'next_in_stream'} */ which) => () => {
      const to = this.detail.packet?.[which];
      if (to) this.goTo(to);
    };
    this.#stopKeys = bind({
      j: ['keys.packets_down', move(1)],
      k: ['keys.packets_up', move(-1)],
      ArrowDown: ['keys.packets_down', move(1)],
      ArrowUp: ['keys.packets_up', move(-1)],
      PageDown: ['keys.packets_page', () => list.move(list.page())],
      PageUp: ['keys.packets_page', () => list.move(-list.page())],
      Home: ['keys.packets_first', () => list.select(0)],
      End: ['keys.packets_last', () => list.end()],
      Enter: ['keys.packets_open', () => (this.list.selected < 0 ? list.move(1) : this.#toTree())],
      '/': ['keys.packets_filter', () => this.filter.focus()],
      f: ['keys.packets_follow', () => this.follow()],
      m: ['keys.packets_mark', () => this.mark()],
      c: ['keys.packets_comment', () => this.comment()],
      '[': ['keys.packets_previous', inConversation('previous_in_stream')],
      ']': ['keys.packets_next', inConversation('next_in_stream')],
      g: ['keys.packets_go', () => this.askNumber()],
      Escape: ['keys.packets_back', () => this.#escape()],
    });
  }
}

/** The filter of a cell. @param {any} packet @param {Row} row @param {import('./columns.js').Column} column */
function filterOf(packet, row, column) {
  const all = /** @type {any[]} */ ([]);
  const look = (/** @type {any[]} */ nodes) => nodes.forEach((node) => { all.push(node); look(node.children ?? []); });
  look(packet.tree ?? []);
  const named = (/** @type {string[]} */ names, /** @type {string | null} */ value) => all.find((node) => names.includes(node.name) && (value === null || node.value === value))?.filter ?? null;
  switch (column.kind) {
    case 'number': return `frame.number == ${row.file_number ?? row.number}`;
    case 'length': return `frame.len == ${row.length}`;
    case 'interface': return row.interface ? `frame.interface_name == "${row.interface.replace(/[\\"]/g, '\\$&')}"` : null;
    case 'source': return named(['ip.src', 'ipv6.src', 'arp.src.proto_ipv4', 'eth.src', 'sll.src.eth'], row.source);
    case 'destination': return named(['ip.dst', 'ipv6.dst', 'arp.dst.proto_ipv4', 'eth.dst'], row.destination);
    case 'protocol': return packet.tree?.findLast((/** @type {any} */ node) => node.name !== 'data')?.filter ?? null;
    case 'extra': return named([column.field ?? ''], null);
    case 'time': return row.time ? `frame.time_epoch >= ${epoch(row.time)}` : null;
    default: return null;
  }
}

/** @param {string} time */
function epoch(time) {
  const ns = format.nanos(time);
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`;
}

/** @returns {import('./columns.js').TimeFormat} */
function stored() {
  try {
    const { mode, digits } = JSON.parse(localStorage.getItem('packets.time') ?? '{}');
    return { mode: ['absolute', 'start', 'delta'].includes(mode) ? mode : 'absolute', digits: digits === 9 ? 9 : 6 };
  } catch {
    return { mode: 'absolute', digits: 6 };
  }
}

/** What an address says. @param {Place} at */
function read({ query }) {
  const n = Number(query.get('n'));
  return {
    filter: (query.get('filter') ?? '').slice(0, MOST_COMMENT),
    file: /^\d{1,6}$/.test(query.get('file') ?? '') ? String(query.get('file')) : '',
    n: Number.isSafeInteger(n) && n > 0 ? n : 0,
    time: query.get('time') ?? '',
    stream: query.get('stream') ?? '',
    columns: (query.get('columns') ?? '').split(',').filter((name) => /^[A-Za-z_][\w.-]{0,99}$/.test(name)).slice(0, MOST_COLUMNS),
  };
}
