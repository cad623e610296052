// The interfaces of the host with their state, addresses and present rates, to choose some of them, or any.

import { get } from './api.js';
import { el, replace, set, setText } from './dom.js';
import * as format from './format.js';
import { foreign, icon } from './ui.js';
import { t } from './words.js';

const EVERY_MS = 2000;

/**
 * @param {{value: () => string, change: (value: string) => void}} options names with commas between, or `any`
 */
export function interfaceList({ value, change }) {
  /** @type {Map<string, {input: HTMLInputElement, rate: HTMLElement}>} */
  const rows = new Map();
  /** @type {Map<string, {at: number, rx: number, tx: number}>} */
  const before = new Map();
  const any = el('input', { type: 'checkbox', onchange: () => change(any.checked ? 'any' : [...rows.keys()].slice(0, 1).join('')) });
  const body = el('div', { class: 'interface-rows' });
  const element = el('fieldset', { class: 'interfaces' }, el('legend', null, t('new.interfaces')),
    el('label', { class: 'check' }, any, el('span', null, t('new.any_interface'), el('span', { class: 'help' }, ' ', t('new.any_interface.help')))), body);
  let timer = 0;

  const chosen = () => value().split(/[\s,]+/).filter(Boolean);

  const update = () => {
    const names = chosen();
    set(any, { checked: names.includes('any') });
    for (const [name, { input }] of rows) set(input, { checked: names.includes(name) });
  };

  /** @param {any} one */
  const row = (one) => {
    const isCapturable = one.capturable ?? one.link_type !== null;
    const input = el('input', { type: 'checkbox', disabled: !isCapturable, onchange: () => {
      const others = chosen().filter((name) => name !== 'any' && name !== one.name);
      change((input.checked ? [...others, one.name] : others).join(', ') || 'any');
      update();
    } });
    const rate = el('span', { class: 'interface-rate number' });
    rows.set(one.name, { input, rate });
    return el('label', { class: 'interface-row' }, input,
      el('span', { class: 'interface-name' }, el('b', null, foreign(one.name)), one.default_route && el('span', { class: 'badge' }, t('new.default_route'))),
      el('span', { class: `interface-state ${one.state === 'up' ? 'up' : ''}` }, icon(one.state === 'up' ? 'up' : 'down'), t(one.state === 'up' ? 'new.up' : 'new.down')),
      el('span', { class: 'interface-addresses mono' }, isCapturable ? (one.addresses ?? []).join(' ') : one.link),
      rate,
      one.conflict && el('span', { class: 'interface-conflict' }, icon('warning'), one.conflict));
  };

  const load = async () => {
    timer = setTimeout(load, EVERY_MS);
    if (rows.size > 0 && (document.hidden || body.offsetParent === null)) return;
    const answer = await get('interfaces').catch(() => null);
    if (!answer) return;
    const names = answer.interfaces.map((/** @type {any} */ one) => one.name).join(' ');
    if (body.dataset.names !== names) {
      body.dataset.names = names;
      rows.clear();
      replace(body, answer.interfaces.map(row));
      update();
    }
    const at = performance.now();
    for (const { name, rx, tx } of answer.interfaces) {
      if (!rx || !tx) continue;
      const last = before.get(name);
      before.set(name, { at, rx: rx.bytes, tx: tx.bytes });
      const shown = rows.get(name)?.rate;
      if (!last || !shown) continue;
      const seconds = (at - last.at) / 1000;
      setText(shown, t('new.rates', { in: format.byteRate(Math.max(0, rx.bytes - last.rx) / seconds), out: format.byteRate(Math.max(0, tx.bytes - last.tx) / seconds) }));
    }
  };
  load();

  return { element, update, end: () => clearTimeout(timer) };
}
