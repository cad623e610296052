// The bytes of a stream as its two ends sent them: both or one of them, as text or in base 16, with what is missing.

import { address, get } from '../api.js';
import { el, replace, set } from '../dom.js';
import * as format from '../format.js';
import { dialog, errorText, icon, loading, notice } from '../ui.js';
import { t } from '../words.js';
import { hex2, shown } from './bytes.js';

/** Segments of a request, and bytes that are shown before one asks for more. */
const SEGMENTS = 200;
const MOST_BYTES = 262_144;
/** Rest between two questions while packets are still looked at, in milliseconds. */
const AGAIN_MS = 60;

/** @typedef {{side: 'client' | 'server', number: number, time: string | null, gap: number, bytes: Uint8Array}} Piece */

/** Text of bytes, in which nothing turns or hides what is beside it. @param {Uint8Array} bytes */
function asText(bytes) {
  const text = new TextDecoder().decode(bytes);
  return text.replace(/\r\n/g, '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]/g, '·');
}

/** @param {Uint8Array} bytes */
function asHex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    lines.push(`${at.toString(16).padStart(8, '0')}  ${part.map(hex2).join(' ').padEnd(48)} ${part.map(shown).join('')}`);
  }
  return lines.join('\n');
}

/** @param {string} data base 64 */
function decoded(data) {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/**
 * Shows the stream of a packet, until it is closed.
 * @param {string} base path of the packets
 * @param {number} number of a packet of it
 * @param {{side: string, query: Record<string, any>, conversation: string | null, canSave: boolean, change: (side: string) => void, goTo: (number: number) => void, apply: (filter: string) => void}} options
 */
export async function showStream(base, number, options) {
  let side = ['client', 'server'].includes(options.side) ? options.side : 'both';
  let isHex = localStorage.getItem('stream.view') === 'hex';
  const path = `${base}/${number}/stream`;
  const body = el('div', { class: 'stream', tabindex: '0', autofocus: true, role: 'region', 'aria-label': t('stream.content') });
  const head = el('div', { class: 'stream-head' });
  const controls = el('div', { class: 'row spread' });
  /** @type {Piece[]} */
  let pieces = [];
  /** Pieces of an answer that is not whole yet. @type {Piece[]} */
  let found = [];
  /** @type {any} */
  let known = null;
  /** @type {number | null} */
  let next = 0;
  let abort = new AbortController();
  /** @type {unknown} */
  let failed = null;
  let isLoading = false;
  let close = (/** @type {string} */ _value) => {};

  const load = async () => {
    const mine = abort;
    isLoading = true;
    show();
    try {
      let bytes = 0;
      while (next !== null && bytes < MOST_BYTES) {
        const answer = await get(path, { ...options.query, side, from: next, limit: SEGMENTS }, mine.signal);
        if (mine.signal.aborted) return;
        known = answer;
        found = answer.segments.map((/** @type {any} */ { data, ...segment }) => ({ ...segment, bytes: decoded(data) }));
        if (answer.complete === false) {
          // What is there is shown, and the same is asked for again.
          show();
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
          continue;
        }
        pieces.push(...found);
        bytes += found.reduce((sum, piece) => sum + piece.bytes.length, 0);
        next = answer.next ?? null;
        if (found.length === 0) break;
        found = [];
      }
      found = [];
    } catch (error) {
      if (mine.signal.aborted) return;
      failed = error;
    }
    isLoading = false;
    show();
  };
  const again = () => {
    abort.abort();
    abort = new AbortController();
    pieces = [];
    found = [];
    next = 0;
    failed = null;
    load();
  };
  const radio = (/** @type {string} */ name, /** @type {[string, string][]} */ choices, /** @type {string} */ chosen, /** @type {(value: string) => void} */ choose) =>
    el('span', { class: 'segments', role: 'group', 'aria-label': t(`stream.${name}`) }, choices.map(([value, word]) =>
      el('button', { type: 'button', class: 'chip', 'aria-pressed': String(value === chosen), dataset: { value }, onclick: () => choose(value) }, t(word))));

  const showControls = () => {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.value;
    replace(controls,
      el('div', { class: 'row' },
        radio('side', [['both', 'stream.both'], ['client', 'stream.client'], ['server', 'stream.server']], side, (value) => {
          side = value;
          options.change(side);
          again();
        }),
        radio('view', [['text', 'stream.text'], ['hex', 'stream.hex']], isHex ? 'hex' : 'text', (value) => {
          isHex = value === 'hex';
          localStorage.setItem('stream.view', value);
          show();
        })),
      el('div', { class: 'row' },
        options.conversation && el('button', { type: 'button', class: 'button', onclick: () => { close(''); options.apply(/** @type {string} */ (options.conversation)); } }, icon('filter'), t('stream.filter')),
        options.canSave && el('a', { class: 'button', href: address(path, { ...options.query, side, as: 'raw' }), download: '' }, icon('download'), t('stream.save'))));
    if (focused) /** @type {HTMLElement | null} */ (controls.querySelector(`[data-value=${focused}]`))?.focus();
  };

  /** Pieces of one side behind one another become one block. */
  const blocks = () => {
    /** @type {{side: string, first: Piece, gap: number, parts: Uint8Array[]}[]} */
    const all = [];
    for (const piece of [...pieces, ...found]) {
      const last = all.at(-1);
      if (last && last.side === piece.side && !piece.gap) last.parts.push(piece.bytes);
      else all.push({ side: piece.side, first: piece, gap: piece.gap, parts: [piece.bytes] });
    }
    return all;
  };

  const show = () => {
    showControls();
    replace(head, known && [
      el('span', { class: 'stream-end stream-client' }, icon('up'), el('b', null, t('stream.client')), el('bdi', { class: 'mono' }, known.client), t('stream.sent', { size: format.bytes(known.bytes.client) })),
      el('span', { class: 'stream-end stream-server' }, icon('down'), el('b', null, t('stream.server')), el('bdi', { class: 'mono' }, known.server), t('stream.sent', { size: format.bytes(known.bytes.server) })),
    ]);
    const shownBlocks = blocks().map(({ side: of, first, gap, parts }) => {
      const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
      return [
        gap > 0 && el('div', { class: 'stream-gap' }, icon('warning'), t('stream.gap', { size: format.bytes(gap) })),
        el('div', { class: `stream-block stream-${of}` },
          el('button', { type: 'button', class: 'stream-from', title: t('stream.go', { number: first.number }), onclick: () => { close(''); options.goTo(first.number); } },
            icon(of === 'client' ? 'up' : 'down'), t(`stream.${of}`), el('span', { class: 'muted' }, format.number(first.number), first.time ? ` · ${format.packetTime(first.time)}` : '')),
          el('pre', null, isHex ? asHex(bytes) : asText(bytes))),
      ];
    });
    const { scrollTop } = body;
    replace(body, failed ? notice('high', errorText(failed)) : null,
      pieces.length + found.length === 0 && !isLoading && !failed ? el('p', { class: 'muted stream-none' }, t('stream.nothing')) : null,
      shownBlocks.flat(),
      known?.cut && next === null && !isLoading ? notice('info', t('stream.cut')) : null,
      isLoading ? loading() : next !== null && !failed ? el('button', { type: 'button', class: 'button', onclick: load }, t('stream.more')) : null);
    body.scrollTop = scrollTop;
  };

  const closed = dialog(t('stream.title'), (/** @type {(value: string) => void} */ end) => {
    close = end;
    return el('div', { class: 'stream-box' }, controls, head, body);
  }, [], 'wide stream-dialog');
  set(body, { 'aria-busy': null });
  load();
  await closed;
  abort.abort();
}
