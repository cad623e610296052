// All of one packet: its fields and its bytes side by side, and what is done with it.

import { get, isAborted } from '../api.js';
import { el, replace, set, setText } from '../dom.js';
import * as format from '../format.js';
import { button, copy, errorText, icon, loading, notice } from '../ui.js';
import { t } from '../words.js';
import { Bytes, fromHex } from './bytes.js';
import { clipped } from './columns.js';
import { byteItems, filterItems, menuAt } from './popup.js';
import { splitter } from './split.js';
import { Tree } from './tree.js';

/** @typedef {import('./tree.js').Node_} Field */

/**
 * What the pane tells and asks.
 * @typedef {object} Told
 * @property {() => void} close
 * @property {(number: number) => void} goTo
 * @property {() => void} follow
 * @property {() => void} mark
 * @property {() => void} comment
 * @property {(filter: string) => void} apply
 * @property {() => string} filter the filter in force
 * @property {(field: string) => void} addColumn
 * @property {() => void} loaded a packet is there
 */

/** Whether there is a stream to follow. @param {any} packet */
export function hasStream(packet) {
  return (packet.tree ?? []).some((/** @type {Field} */ node) => node.name === 'tcp' || node.name === 'udp');
}

export class Detail {
  /** What the service gave. @type {any} */
  packet = null;
  /** @type {AbortController | null} */
  #abort = null;
  #timer = 0;
  /** Number of the packet that is wanted. */
  number = 0;

  /**
   * @param {string} base path of the packets
   * @param {Told} told
   * @param {{notes: boolean, sharkd: boolean}} features
   */
  constructor(base, told, features) {
    this.base = base;
    this.told = told;
    this.features = features;
    this.tree = new Tree({
      select: (node) => this.bytes.mark(node.offset, node.name === 'frame' ? 0 : node.length),
      menu: (node, x, y) => this.#fieldMenu(node, x, y),
    });
    this.bytes = new Bytes({
      pick: (offset) => {
        const node = this.tree.fieldAt(offset);
        if (node) {
          this.tree.choose(node, { quiet: true });
          this.bytes.mark(node.offset, node.length, false);
          setText(this.where, this.#name(node));
        }
      },
      menu: (x, y) => menuAt(x, y, () => byteItems(() => this.bytes.selection())),
      name: (offset) => this.tree.fieldAt(offset)?.label ?? '',
    });
    this.where = el('span', { class: 'muted clip' });
    this.heading = el('h2', { class: 'clip' });
    this.said = el('div');
    this.tools = el('div', { class: 'row detail-tools' });
    this.decoder = el('select', { 'aria-label': t('packets.decoder'), onchange: () => this.#decode() },
      el('option', { value: 'native' }, 'capture-agent'), el('option', { value: 'wireshark' }, 'Wireshark'));
    this.decoder.value = features.sharkd && localStorage.getItem('decoder') === 'wireshark' ? 'wireshark' : 'native';
    this.panes = el('div', { class: 'detail-panes', 'data-pane': 'tree' });
    const pick = (/** @type {string} */ name) => {
      set(this.panes, { 'data-pane': name });
      for (const tab of this.tabs.children) set(tab, { 'aria-pressed': String(tab.dataset.name === name) });
    };
    this.tabs = el('div', { class: 'detail-tabs', role: 'group', 'aria-label': t('packets.panes') }, ['tree', 'bytes'].map((name) =>
      el('button', { type: 'button', class: 'chip', dataset: { name }, 'aria-pressed': String(name === 'tree'), onclick: () => pick(name) }, t(name === 'tree' ? 'packets.fields' : 'packets.bytes'))));
    this.panes.append(this.tree.element,
      splitter('detail', 'vertical', t('packets.split_detail'), 0.52, (share) => set(this.panes, { style: { '--first': `${(share * 100).toFixed(1)}%` } })),
      this.bytes.element);
    this.element = el('section', { class: 'detail', 'aria-label': t('packets.packet'), hidden: true },
      el('header', { class: 'detail-head' }, this.heading, this.where, this.tabs, this.tools,
        button('packets.close', () => this.told.close(), { icon: 'close', kind: 'quiet detail-close', iconOnly: true })),
      this.said, this.panes);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.tree.setNodes([]);
    this.bytes.stop();
  }

  /** Shows nothing. */
  clear() {
    this.#abort?.abort();
    clearTimeout(this.#timer);
    this.number = 0;
    this.packet = null;
    set(this.element, { hidden: true });
  }

  /**
   * Shows a packet. While one goes through many only the last is fetched.
   * @param {number} number
   * @param {Record<string, any>} query file and filter
   */
  show(number, query) {
    if (this.number === number && this.packet) return;
    const isFirst = this.element.hidden;
    this.number = number;
    this.query = query;
    set(this.element, { hidden: false });
    setText(this.heading, t('packets.packet_number', { number }));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetch(), isFirst ? 0 : 60);
  }

  async #fetch() {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const { number } = this;
    if (!this.packet) replace(this.said, loading());
    const decoder = this.decoder.value === 'wireshark' ? 'wireshark' : null;
    try {
      this.#take(await get(`${this.base}/${number}`, { ...this.query, decoder }, abort.signal));
    } catch (error) {
      if (isAborted(error)) return;
      if (decoder && !this.packet) return this.#withoutWireshark(error);
      this.packet = null;
      this.tree.setNodes([]);
      this.bytes.setBytes(new Uint8Array(0));
      replace(this.said, notice('high', errorText(error)));
    }
  }

  /** Where Wireshark does not answer, the packet is shown by ourselves. @param {unknown} error */
  async #withoutWireshark(error) {
    this.decoder.value = 'native';
    await this.#fetch();
    replace(this.said, notice('warn', errorText(error)));
  }

  /** @param {any} packet */
  #take(packet) {
    this.packet = packet;
    replace(this.said);
    const { row } = packet;
    replace(this.heading, t('packets.packet_number', { number: this.number }));
    replace(this.where, row ? `${clipped(row.protocol)} · ${format.bytes(row.length)}` : '');
    this.bytes.setBytes(fromHex(packet.bytes ?? ''));
    this.tree.setNodes(packet.tree ?? []);
    this.showTools();
    this.told.loaded();
  }

  /** Shows what can be done with the packet. */
  showTools() {
    const packet = this.packet;
    if (!packet) return;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.tool;
    const tool = (/** @type {string} */ name, /** @type {string} */ word, /** @type {string} */ sign, /** @type {() => void} */ run, /** @type {Record<string, any>} */ props = {}) =>
      button(word, run, { icon: sign, kind: 'quiet', iconOnly: true, props: { 'data-tool': name, ...props } });
    const isMarked = packet.row?.marked ?? packet.marked;
    replace(this.tools,
      tool('previous', 'packets.previous', 'up', () => this.told.goTo(packet.previous_in_stream), { disabled: !packet.previous_in_stream }),
      tool('next', 'packets.next', 'down', () => this.told.goTo(packet.next_in_stream), { disabled: !packet.next_in_stream }),
      tool('conversation', 'packets.conversation', 'filter', () => this.told.apply(packet.conversation), { disabled: !packet.conversation }),
      tool('follow', 'packets.follow', 'stream', () => this.told.follow(), { disabled: !hasStream(packet) }),
      this.features.notes && tool('mark', 'packets.mark', 'flag', () => this.told.mark(), { 'aria-pressed': String(Boolean(isMarked)) }),
      this.features.notes && tool('comment', 'packets.comment', 'comment', () => this.told.comment()),
      this.features.sharkd && el('span', { class: 'decoder', title: t('packets.decoded_by', { decoder: packet.decoder }) }, this.decoder));
    if (focused) /** @type {HTMLElement | null} */ (this.tools.querySelector(`[data-tool=${focused}]`))?.focus();
    const comment = packet.row?.comment ?? packet.comment;
    replace(this.said, comment ? el('div', { class: 'detail-comment' }, icon('comment'), el('bdi', null, comment)) : null);
  }

  #decode() {
    localStorage.setItem('decoder', this.decoder.value);
    this.#fetch();
  }

  /** @param {Field} node */
  #name(node) {
    return `${node.label || node.name} (${node.name})`;
  }

  /** @param {Field} node @param {number} x @param {number} y */
  #fieldMenu(node, x, y) {
    const bytes = () => this.bytes.bytes.slice(node.offset, node.offset + node.length);
    menuAt(x, y, () => [
      ...filterItems(node.filter, this.told.filter(), (filter) => this.told.apply(filter)),
      'line',
      { label: t('packets.column_add'), run: () => this.told.addColumn(node.name) },
      'line',
      node.value !== null && { label: t('packets.copy_value'), run: () => copy(String(node.value)) },
      node.filter && { label: t('packets.copy_filter'), run: () => copy(String(node.filter)) },
      { label: t('packets.copy_name'), run: () => copy(node.name) },
      ...(node.length > 0 ? byteItems(bytes) : []),
    ]);
  }
}
