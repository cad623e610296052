// The bytes of a packet: offset, base 16, and characters. Only lines in sight are elements. A field of the tree is marked
// in it, and a byte leads to its field.

import { el, replace, set, setText } from '../dom.js';
import { t } from '../words.js';

const LINE = 20;
const WIDE = 16;
const TIGHT = 8;

/** Bytes from base 16. @param {string} hex */
export function fromHex(hex) {
  const bytes = new Uint8Array(hex.length >> 1);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}

/** @param {number} value */
export function hex2(value) {
  return value.toString(16).padStart(2, '0');
}

/** A byte as a character, or a dot. @param {number} byte */
export function shown(byte) {
  return byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·';
}

export class Bytes {
  /** @type {Uint8Array} */
  bytes = new Uint8Array(0);
  /** What is marked: of a field, and what one selected oneself. */
  #field = { from: 0, to: 0 };
  #from = -1;
  #to = -1;
  #frame = 0;
  #perLine = WIDE;

  /** @param {{pick: (offset: number) => void, menu: (x: number, y: number) => void, name: (offset: number) => string}} told */
  constructor(told) {
    this.told = told;
    this.lines = el('div', { class: 'bytes-lines', 'aria-hidden': 'true' });
    this.space = el('div', { class: 'bytes-space' }, this.lines);
    this.status = el('div', { class: 'visually-hidden', role: 'status' });
    this.element = el('div', { class: 'bytes mono', tabindex: '0', role: 'group', 'aria-label': t('packets.bytes') }, this.space, this.status);
    this.element.addEventListener('scroll', () => this.render(), { passive: true });
    this.observer = new ResizeObserver(() => {
      const line = this.element.clientWidth < 470 ? TIGHT : WIDE;
      if (line !== this.#perLine) this.#perLine = line;
      this.render();
    });
    this.observer.observe(this.element);
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.lines.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => this.#pressed(event));
    this.lines.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
      if (event.buttons === 1 && this.#from >= 0) this.#extend(this.#at(event));
    });
    this.element.addEventListener('contextmenu', (/** @type {MouseEvent} */ event) => {
      event.preventDefault();
      this.told.menu(event.clientX, event.clientY);
    });
  }

  stop() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** @param {Uint8Array} bytes */
  setBytes(bytes) {
    this.bytes = bytes;
    this.#from = -1;
    this.#to = -1;
    this.#field = { from: 0, to: 0 };
    this.element.scrollTop = 0;
    this.render();
  }

  /** Marks a field. @param {number} from @param {number} length @param {boolean} [isShown] brings it in sight */
  mark(from, length, isShown = true) {
    this.#field = { from, to: from + length };
    this.#from = -1;
    this.#to = -1;
    if (isShown && length > 0) this.#reveal(from);
    this.render();
  }

  /** What is selected, or the field that is marked, or all. */
  selection() {
    if (this.#from >= 0) return this.bytes.slice(Math.min(this.#from, this.#to), Math.max(this.#from, this.#to) + 1);
    if (this.#field.to > this.#field.from) return this.bytes.slice(this.#field.from, this.#field.to);
    return this.bytes;
  }

  /** @param {number} offset */
  #reveal(offset) {
    const top = Math.floor(offset / this.#perLine) * LINE;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + LINE > scrollTop + clientHeight) this.element.scrollTop = top + LINE - clientHeight + LINE;
  }

  /** @param {Event} event */
  #at(event) {
    const box = /** @type {HTMLElement} */ (event.target).closest('[data-at]');
    return box ? Number(/** @type {HTMLElement} */ (box).dataset.at) : -1;
  }

  /** @param {PointerEvent} event */
  #pressed(event) {
    const at = this.#at(event);
    if (at < 0 || event.button !== 0) return;
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    this.told.pick(at);
    this.#from = at;
    this.#to = at;
    this.render();
  }

  /** @param {number} at */
  #extend(at) {
    if (at < 0 || at === this.#to) return;
    this.#to = at;
    this.#say();
    this.render();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#perLine, ArrowDown: this.#perLine });
    const last = this.bytes.length - 1;
    const now = this.#to >= 0 ? this.#to : this.#field.to > this.#field.from ? this.#field.from : 0;
    let to = now;
    if (event.key in steps) to = this.#to < 0 && this.#field.to <= this.#field.from ? 0 : now + steps[event.key];
    else if (event.key === 'Home') to = event.ctrlKey ? 0 : now - (now % this.#perLine);
    else if (event.key === 'End') to = event.ctrlKey ? last : now - (now % this.#perLine) + this.#perLine - 1;
    else if (event.key === 'a' && event.ctrlKey) {
      this.#from = 0;
      to = last;
    } else if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) {
      event.preventDefault();
      const box = this.element.getBoundingClientRect();
      this.told.menu(box.left + 20, box.top + 20);
      return;
    } else return;
    if (last < 0) return;
    event.preventDefault();
    to = Math.max(0, Math.min(to, last));
    if (event.key === 'a') {
      this.#to = to;
    } else if (event.shiftKey) {
      if (this.#from < 0) this.#from = now;
      this.#to = to;
    } else {
      this.told.pick(to);
      this.#from = to;
      this.#to = to;
    }
    this.#reveal(to);
    this.#say();
    this.render();
  }

  #say() {
    const [from, to] = [Math.min(this.#from, this.#to), Math.max(this.#from, this.#to)];
    if (from < 0) return;
    const field = this.told.name(this.#to);
    setText(this.status, from === to
      ? t('packets.byte_at', { offset: from, value: hex2(this.bytes[from] ?? 0), field })
      : t('packets.bytes_selected', { count: to - from + 1, from, to }));
  }

  render() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #draw() {
    const per = this.#perLine;
    const count = Math.ceil(this.bytes.length / per);
    set(this.space, { style: { height: `${count * LINE}px` } });
    set(this.element, { 'data-tight': per === TIGHT });
    const first = Math.max(0, Math.floor(this.element.scrollTop / LINE) - 2);
    const until = Math.min(count, first + Math.ceil(this.element.clientHeight / LINE) + 4);
    set(this.lines, { style: { transform: `translateY(${first * LINE}px)` } });
    const lines = [];
    for (let line = first; line < until; line += 1) lines.push(this.#line(line * per));
    replace(this.lines, lines);
  }

  /** @param {number} start */
  #line(start) {
    const per = this.#perLine;
    const [from, to] = [Math.min(this.#from, this.#to), Math.max(this.#from, this.#to)];
    const digits = [];
    const characters = [];
    for (let at = start; at < start + per; at += 1) {
      const byte = this.bytes[at];
      const gap = at - start === per / 2 ? ' byte-gap' : '';
      if (byte === undefined) {
        digits.push(el('span', { class: `byte${gap}` }, '\u00a0\u00a0'));
        continue;
      }
      const kind = at >= from && at <= to && from >= 0 ? ' byte-chosen' : at >= this.#field.from && at < this.#field.to ? ' byte-field' : '';
      digits.push(el('span', { class: `byte${kind}${gap}`, dataset: { at } }, hex2(byte)));
      characters.push(el('span', { class: `char${kind}`, dataset: { at } }, shown(byte)));
    }
    return el('div', { class: 'bytes-line' }, el('span', { class: 'bytes-offset' }, start.toString(16).padStart(4, '0')),
      el('span', { class: 'bytes-hex' }, digits), el('span', { class: 'bytes-text' }, characters));
  }
}
