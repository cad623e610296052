// What there is to capture on: each interface with its addresses and what passes it now.

import { get } from '../api.js';
import { el, replace, setText } from '../dom.js';
import * as format from '../format.js';
import { may } from '../frame.js';
import { link } from '../router.js';
import { attempt, empty, icon, loading, style } from '../ui.js';
import { t } from '../words.js';

/** How often the counters are read. */
const INTERVAL_MS = 2000;

export const title = () => t('nav.interfaces');

/** @param {HTMLElement} root */
export async function show(root) {
  await style('admin');
  const body = el('div', null, loading());
  replace(root, el('div', { class: 'page-head' }, el('h1', null, t('nav.interfaces'))), body);
  /** @type {Map<string, {at: number, rx: any, tx: any}>} */
  const before = new Map();
  /** @type {Map<string, {element: HTMLElement, rx: HTMLElement, tx: HTMLElement, losses: HTMLElement, key: string}>} */
  const rows = new Map();
  const table = el('tbody');
  let isFirst = true;
  const read = async () => {
    const answer = await (isFirst ? attempt(() => get('interfaces')) : get('interfaces').catch(() => null));
    if (!answer) return;
    const at = performance.now();
    if (isFirst) {
      const heads = ['name', 'addresses', 'link'].map((name) => el('th', { scope: 'col' }, t(`interfaces.${name}`)));
      const numbers = ['received', 'sent', 'losses'].map((name) => el('th', { scope: 'col', class: 'number' }, t(`interfaces.${name}`)));
      replace(body, answer.interfaces.length === 0 ? empty(t('interfaces.none')) : el('div', { class: 'table-box' }, el('table', { class: 'table' },
        el('thead', null, el('tr', null, heads, numbers, el('th', { scope: 'col' }, el('span', { class: 'visually-hidden' }, t('interfaces.actions'))))), table)));
    }
    isFirst = false;
    const there = new Set();
    for (const one of answer.interfaces) {
      there.add(one.name);
      let row = rows.get(one.name);
      const key = JSON.stringify([one.addresses, one.state, one.mtu, one.conflict, one.link]);
      if (!row || row.key !== key) {
        const made = newRow(one, key);
        if (row) row.element.replaceWith(made.element);
        else table.append(made.element);
        rows.set(one.name, made);
        row = made;
      }
      const last = before.get(one.name);
      if (one.rx && one.tx) {
        const seconds = last ? (at - last.at) / 1000 : 0;
        setText(row.rx, rate(one.rx, last?.rx, seconds));
        setText(row.tx, rate(one.tx, last?.tx, seconds));
        const lost = one.rx.dropped + one.tx.dropped + one.rx.errors + one.tx.errors;
        setText(row.losses, format.number(lost));
        row.losses.title = t('interfaces.losses_of', { dropped: format.number(one.rx.dropped + one.tx.dropped), errors: format.number(one.rx.errors + one.tx.errors) });
        before.set(one.name, { at, rx: one.rx, tx: one.tx });
      }
    }
    for (const [name, { element }] of rows) {
      if (there.has(name)) continue;
      element.remove();
      rows.delete(name);
    }
  };
  await read();
  const timer = setInterval(() => { if (!document.hidden) read(); }, INTERVAL_MS);
  return () => clearInterval(timer);
}

/**
 * @param {any} now
 * @param {any} last
 * @param {number} seconds
 */
function rate(now, last, seconds) {
  if (!last || seconds <= 0) return '…';
  const packets = Math.max(0, now.packets - last.packets) / seconds;
  const bits = (Math.max(0, now.bytes - last.bytes) * 8) / seconds;
  return t('interfaces.rate', { packets: format.packetRate(packets), bits: format.bits(bits) });
}

/**
 * @param {any} one
 * @param {string} key
 */
function newRow(one, key) {
  const [rx, tx, losses] = [el('td', { class: 'number' }, '–'), el('td', { class: 'number' }, '–'), el('td', { class: 'number' }, '–')];
  const isUp = one.state === 'up';
  const cannot = one.link_type === null || one.capturable === false;
  const element = el('tr', null,
    el('th', { scope: 'row' }, el('b', null, one.name), one.default_route && el('div', { class: 'muted' }, t('interfaces.default_route'))),
    el('td', null, one.addresses.length ? one.addresses.map((/** @type {string} */ address) => el('div', { class: 'mono' }, address)) : el('span', { class: 'muted' }, '–')),
    el('td', null,
      el('span', { class: `badge ${isUp ? 'state-completed' : ''}` }, icon(isUp ? 'check' : 'close'), t(isUp ? 'interfaces.up' : 'interfaces.down')),
      el('div', { class: 'muted' }, cannot ? one.link : [one.link, one.speed_mbps ? t('interfaces.speed', { speed: format.bits(one.speed_mbps * 1e6) }) : '', t('interfaces.mtu', { mtu: one.mtu })].filter(Boolean).join(' · ')),
      one.conflict && el('div', { class: 'fault' }, one.conflict)),
    rx, tx, losses,
    el('td', null, may('create') && !cannot && el('a', { class: 'button quiet', href: link(['new'], { interface: one.name }), 'aria-label': t('interfaces.capture_on', { name: one.name }) }, icon('plus'), t('interfaces.capture'))));
  return { element, rx, tx, losses, key };
}
