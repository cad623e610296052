// A menu at a point, for cells, fields and bytes.

import { el, set } from '../dom.js';
import { copy, menu } from '../ui.js';
import { t } from '../words.js';
import { hex2 } from './bytes.js';

/**
 * Opens a menu at a point of the window, and gives the focus back when it closes.
 * @param {number} x
 * @param {number} y
 * @param {() => any[]} items as `menu` has them, or what is empty
 */
export function menuAt(x, y, items) {
  const before = document.activeElement;
  const anchor = menu('', () => items().filter(Boolean), { class: 'menu-point', tabindex: '-1', 'aria-label': t('packets.cell_menu') });
  const [opener, list] = anchor.children;
  set(opener, { style: { left: `${x}px`, top: `${y}px` } });
  document.body.append(anchor);
  list.addEventListener('toggle', (/** @type {any} */ event) => {
    if (event.newState !== 'closed') return;
    const isLeft = !anchor.contains(document.activeElement) && document.activeElement !== document.body;
    anchor.remove();
    if (!isLeft && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  });
  list.showPopover();
}

/**
 * What is done to a filter with another: it is replaced, or joined.
 * @param {string} old
 * @param {string} more
 * @param {'replace' | 'and' | 'or' | 'not'} how
 */
export function joined(old, more, how) {
  const group = (/** @type {string} */ text) => (/\bor\b|\|\||\band\b|&&|^\s*(not|!)/.test(text) ? `(${text})` : text);
  const begin = old.trim();
  if (how === 'not') return begin ? `${group(begin)} and not ${group(more)}` : `not ${group(more)}`;
  if (how === 'replace' || !begin) return more;
  // What is joined by and already needs no parentheses for one more.
  const left = how === 'and' && !/\bor\b|\|\|/.test(begin) ? begin : group(begin);
  return `${left} ${how} ${group(more)}`;
}

/**
 * Items that apply a filter.
 * @param {string | null} filter
 * @param {string} old
 * @param {(filter: string) => void} apply
 * @returns {any[]}
 */
export function filterItems(filter, old, apply) {
  if (!filter) return [];
  const label = (/** @type {string} */ word, /** @type {boolean} */ isFirst) => el('span', { class: 'menu-two' }, t(word), isFirst && el('small', { class: 'mono muted' }, filter.slice(0, 200)));
  return [
    { label: label('packets.apply', true), run: () => apply(joined(old, filter, 'replace')) },
    old && { label: label('packets.apply_and', false), run: () => apply(joined(old, filter, 'and')) },
    old && { label: label('packets.apply_or', false), run: () => apply(joined(old, filter, 'or')) },
    { label: label(old ? 'packets.apply_and_not' : 'packets.apply_not', false), run: () => apply(joined(old, filter, 'not')) },
  ];
}

/** @param {Uint8Array} bytes */
export function base64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** @param {Uint8Array} bytes */
function asC(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 12) lines.push(`  ${[...bytes.subarray(at, at + 12)].map((byte) => `0x${hex2(byte)}`).join(', ')}`);
  return `static const unsigned char data[${bytes.length}] = {\n${lines.join(',\n')}\n};\n`;
}

/**
 * Items that copy bytes.
 * @param {() => Uint8Array} bytes
 * @returns {any[]}
 */
export function byteItems(bytes) {
  return [
    { label: t('packets.copy_hex'), run: () => copy([...bytes()].map(hex2).join('')) },
    { label: t('packets.copy_base64'), run: () => copy(base64(bytes())) },
    { label: t('packets.copy_c'), run: () => copy(asC(bytes())) },
  ];
}
