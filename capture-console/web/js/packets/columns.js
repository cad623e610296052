// The columns of a packet list, and the times in it.

import { el } from '../dom.js';
import * as format from '../format.js';
import { icon } from '../ui.js';
import { t } from '../words.js';
import { sign } from './list.js';

/** @typedef {import('./rows.js').Row} Row */

/**
 * @typedef {object} Column
 * @property {string} kind also its class: `pk-KIND`
 * @property {string} label
 * @property {string} [title]
 * @property {number} [least] narrowest, in characters
 * @property {number} [most] widest
 * @property {string} [field] of a column that somebody added
 * @property {(row: Row, before: Row | undefined, rows: import('./rows.js').Rows) => string} text
 * @property {(cell: HTMLElement, row: Row) => void} [draw] in the place of the text alone
 * @property {() => Node} [tools] what stands in its head
 */

/** How times are shown. @typedef {{mode: 'absolute' | 'start' | 'delta', digits: 6 | 9}} TimeFormat */

/** Most characters of a cell. */
const MOST = 512;

/** As wide as a sign before the text. */
const SIGN = '   ';

/** A text that fits a cell, whatever it is. @param {unknown} text */
export function clipped(text) {
  // In a row a line break is a space, and what no font shows has a sign.
  const line = String(text ?? '').slice(0, MOST);
  return line.replace(/[\u0000-\u001f\u007f]/g, (char) => (char === '\u007f' ? '\u2421' : String.fromCharCode(0x2400 + char.charCodeAt(0))));
}

/**
 * Seconds between two times, with a sign where they go back.
 * @param {string | null | undefined} from
 * @param {string | null | undefined} to
 * @param {number} digits
 */
export function seconds(from, to, digits) {
  if (!from || !to) return '';
  const between = format.nanos(to) - format.nanos(from);
  const size = between < 0n ? -between : between;
  const fraction = String(size % 1_000_000_000n).padStart(9, '0').slice(0, digits);
  return `${between < 0n ? '−' : ''}${size / 1_000_000_000n}.${fraction}`;
}

/** @param {TimeFormat} time @returns {Column} */
function timeColumn({ mode, digits }) {
  return {
    kind: 'time', label: t(`packets.time_${mode}`), least: mode === 'absolute' ? 9 + digits : 0, most: 24,
    text(row, before, rows) {
      if (!row.time) return '–';
      if (mode === 'absolute') return format.packetTime(row.time, digits);
      if (mode === 'start') return seconds(rows.firstTime, row.time, digits);
      return row.number === 1 || before ? seconds(before?.time ?? row.time, row.time, digits) : '';
    },
  };
}

/**
 * @param {TimeFormat} time
 * @param {string[]} fields columns that were added
 * @param {boolean} isNarrow
 * @param {(field: string) => void} remove takes a column away
 * @returns {Column[]}
 */
export function columns(time, fields, isNarrow, remove) {
  const whole = format.number;
  /** @type {Column[]} */
  const all = [
    {
      kind: 'number', label: t('packets.number'), title: t('packets.number_title'), most: 14,
      text: (row) => whole(row.number) + (row.marked ? SIGN : '') + (row.comment ? SIGN : ''),
      draw(cell, row) {
        cell.replaceChildren(...[row.marked && sign('flag', t('packets.marked')), row.comment && sign('comment', clipped(row.comment)), whole(row.number)].filter(Boolean));
      },
    },
    timeColumn(time),
    { kind: 'interface', label: t('packets.interface'), most: 16, text: (row) => clipped(row.interface) },
    { kind: 'direction', label: t('packets.direction'), title: t('packets.direction_title'), text: (row) => (row.direction ? t(`packets.${row.direction}`) : '') },
    { kind: 'source', label: t('packets.source'), most: 40, text: (row) => clipped(row.source) },
    { kind: 'destination', label: t('packets.destination'), most: 40, text: (row) => clipped(row.destination) },
    {
      kind: 'protocol', label: t('packets.protocol'), most: 14, text: (row) => clipped(row.protocol) + (row.malformed ? SIGN : ''),
      draw(cell, row) {
        cell.replaceChildren(...[row.malformed && sign('warning', t('packets.malformed')), clipped(row.protocol)].filter(Boolean));
      },
    },
    {
      kind: 'length', label: t('packets.length'), title: t('packets.length_title'), most: 18,
      text: (row) => (row.captured < row.length ? t('packets.kept', { captured: row.captured, length: row.length }) : whole(row.length)),
    },
    ...fields.map((field, index) => /** @type {Column} */ ({
      kind: 'extra', label: field, field, most: 32, text: (row) => clipped(row.columns?.[index]),
      tools: () => el('button', { type: 'button', class: 'pk-remove', title: t('packets.column_remove', { name: field }), 'aria-label': t('packets.column_remove', { name: field }), onclick: () => remove(field) }, icon('close')),
    })),
    { kind: 'info', label: t('packets.info'), text: (row) => clipped(row.info) },
  ];
  // In two lines there is no room for what is the same in most rows.
  return isNarrow ? all.filter(({ kind }) => kind !== 'interface' && kind !== 'extra') : all;
}

