// The box for a display filter: names of fields are completed, a fault is underlined where it is and said in a sentence,
// and what was used before is offered again.

import { get, isAborted } from '../api.js';
import { el, replace, set } from '../dom.js';
import { button, copy, icon, menu } from '../ui.js';
import { t } from '../words.js';

const HISTORY = 'filter.history';
const MOST_HISTORY = 20;
const MOST_OFFERS = 12;
/** From the last key to the question whether it is right, in milliseconds. */
const CHECK_MS = 140;
/** Most characters of a filter. */
const MOST = 4096;

/** @returns {string[]} */
function history() {
  try {
    const stored = JSON.parse(localStorage.getItem(HISTORY) ?? '[]');
    return Array.isArray(stored) ? stored.filter((text) => typeof text === 'string').slice(0, MOST_HISTORY) : [];
  } catch {
    return [];
  }
}

/** @param {string} text */
function remember(text) {
  if (text) localStorage.setItem(HISTORY, JSON.stringify([text, ...history().filter((old) => old !== text)].slice(0, MOST_HISTORY)));
}

/** @typedef {{name: string, label: string, kind: string}} Offer */

export class FilterBox {
  #applied = '';
  #tshark = '';
  /** @type {{from?: number, to?: number, detail: string}[]} */
  #faults = [];
  /** @type {Offer[]} */
  #offers = [];
  #active = -1;
  #timer = 0;
  /** @type {AbortController | null} */
  #asking = null;

  /** @param {{path: string, task: string | null, apply: (text: string) => void}} options `path`: of the API, for what is said of filters */
  constructor(options) {
    this.options = options;
    const id = 'display-filter';
    this.input = el('input', {
      id, type: 'text', class: 'mono', role: 'combobox', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', maxlength: MOST, enterkeyhint: 'search',
      placeholder: t('packets.filter_example'), 'aria-label': t('packets.filter'), 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': `${id}-list`, 'aria-describedby': `${id}-fault`,
      oninput: () => this.#typed(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onblur: () => setTimeout(() => this.#offer([]), 150), onscroll: () => this.#underline(),
    });
    this.marks = el('div', { class: 'filter-marks mono', 'aria-hidden': 'true' });
    this.list = el('ul', { id: `${id}-list`, class: 'filter-list', role: 'listbox', 'aria-label': t('packets.filter_fields'), hidden: true });
    this.said = el('div', { id: `${id}-fault`, class: 'fault filter-fault', role: 'status' });
    this.clear = button('packets.filter_clear', () => { this.set(''); this.apply(); this.input.focus(); }, { icon: 'close', kind: 'quiet', iconOnly: true });
    this.line = button('packets.filter_tshark', () => copy(this.#tshark), { icon: 'terminal', kind: 'quiet', iconOnly: true });
    this.element = el('div', { class: 'filter-box' },
      el('div', { class: 'filter-row', role: 'search' },
        el('div', { class: 'filter-field' }, icon('filter'), this.marks, this.input, this.clear, this.list),
        menu(icon('history'), () => {
          const all = history();
          return all.length ? all.map((text) => ({ label: el('span', { class: 'mono' }, text.slice(0, 200)), run: () => { this.set(text); this.apply(); } }))
            : [{ label: t('packets.filter_no_history'), kind: 'static' }];
        }, { class: 'button quiet icon-only', 'aria-label': t('packets.filter_history'), title: t('packets.filter_history') }),
        this.line),
      this.said);
    this.#shown();
  }

  /**
   * Shows a filter that is used. Gives whether it is right, and true where nobody says.
   * @param {string} text
   * @returns {Promise<boolean>}
   */
  set(text) {
    clearTimeout(this.#timer);
    this.input.value = text;
    this.#applied = text;
    this.#fail([]);
    this.#shown();
    return this.#ask();
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  /** Uses what is typed. */
  apply() {
    const text = this.input.value.trim();
    clearTimeout(this.#timer);
    this.#offer([]);
    this.#applied = text;
    remember(text);
    this.#shown();
    this.options.apply(text);
  }

  /** The line for tshark that shows the same, or nothing. */
  tshark() {
    return this.#tshark;
  }

  /** Shows faults that the service found. @param {{from?: number, to?: number, detail: string}[]} faults */
  fail(faults) {
    this.#fail(faults);
  }

  #shown() {
    const text = this.input.value;
    set(this.clear, { hidden: text === '' });
    set(this.element, { 'data-changed': text.trim() !== this.#applied });
    set(this.line, { hidden: this.#tshark === '' });
  }

  #typed() {
    this.#fail([]);
    this.#shown();
    this.#check();
    this.#complete();
  }

  /** @param {{from?: number, to?: number, detail: string}[]} faults */
  #fail(faults) {
    this.#faults = faults;
    set(this.input, { 'aria-invalid': faults.length > 0 ? 'true' : null });
    replace(this.said, faults.slice(0, 3).map(({ detail }) => el('div', null, detail)));
    this.#underline();
  }

  #underline() {
    const text = this.input.value;
    const parts = [];
    let at = 0;
    for (const { from, to } of this.#faults.filter((fault) => fault.from !== undefined).sort((a, b) => Number(a.from) - Number(b.from))) {
      const begin = Math.max(at, Math.min(Number(from), text.length));
      const end = Math.max(begin, Math.min(Number(to ?? from), text.length));
      // What is missing at the end has no characters: a space is underlined.
      parts.push(text.slice(at, begin), el('u', null, text.slice(begin, end) || '\u00a0'));
      at = end;
    }
    replace(this.marks, parts);
    this.marks.scrollLeft = this.input.scrollLeft;
  }

  /** Asks in a moment whether it is right. */
  #check() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), CHECK_MS);
  }

  async #ask() {
    const text = this.input.value;
    let told;
    try {
      told = await get(this.options.path, { text: text || ' ', task: this.options.task });
    } catch {
      // Without an answer nothing is said: using the filter tells.
      return true;
    }
    if (this.input.value !== text) return told.valid;
    this.#tshark = told.tshark ?? '';
    const faults = told.valid ? [] : told.faults ?? [];
    // While one types, the end is not there yet: that is no fault until it is used.
    const isUnderWay = document.activeElement === this.input && text.trim() !== this.#applied;
    this.#fail(isUnderWay ? faults.filter((/** @type {any} */ fault) => (fault.to ?? 0) < text.trimEnd().length) : faults);
    this.#shown();
    return told.valid;
  }

  /** The word before the caret, if it may be the name of a field. */
  #word() {
    const at = this.input.selectionStart ?? 0;
    const before = this.input.value.slice(0, at);
    if ((before.match(/"/g)?.length ?? 0) % 2 === 1) return null;
    const word = /[A-Za-z_][\w.]*$/.exec(before)?.[0];
    return word ? { word, from: at - word.length, to: at } : null;
  }

  async #complete() {
    const word = this.#word();
    this.#asking?.abort();
    // Until the answer comes, only what still fits is offered: Tab never takes back what was typed meanwhile.
    this.#offer(word ? this.#offers.filter(({ name }) => name.startsWith(word.word) && name !== word.word) : []);
    if (!word) return;
    this.#asking = new AbortController();
    try {
      const { fields } = await get(`${this.options.path}/fields`, { prefix: word.word, limit: MOST_OFFERS }, this.#asking.signal);
      const isDone = fields.length === 1 && fields[0].name === word.word;
      if (document.activeElement === this.input) this.#offer(isDone ? [] : fields);
    } catch (error) {
      if (!isAborted(error)) this.#offer([]);
    }
  }

  /** @param {Offer[]} offers */
  #offer(offers) {
    this.#offers = offers.slice(0, MOST_OFFERS);
    this.#active = -1;
    replace(this.list, this.#offers.map((offer, index) => el('li', { id: `filter-offer-${index}`, role: 'option', 'aria-selected': 'false',
      onpointerdown: (/** @type {Event} */ event) => { event.preventDefault(); this.#take(index); } },
    el('b', { class: 'mono' }, offer.name), el('span', { class: 'muted clip' }, offer.label), el('small', { class: 'muted' }, offer.kind))));
    set(this.list, { hidden: offers.length === 0 });
    set(this.input, { 'aria-expanded': String(offers.length > 0), 'aria-activedescendant': null });
  }

  /** @param {number} index */
  #take(index) {
    const word = this.#word();
    const offer = this.#offers[index];
    if (!word || !offer) return;
    this.input.setRangeText(offer.name, word.from, word.to, 'end');
    this.#offer([]);
    this.#fail([]);
    this.#shown();
    this.#check();
  }

  /** @param {number} to */
  #activate(to) {
    const count = this.#offers.length;
    this.#active = (to + count) % count;
    for (const [index, option] of [...this.list.children].entries()) {
      set(option, { 'aria-selected': String(index === this.#active) });
      if (index === this.#active) option.scrollIntoView({ block: 'nearest' });
    }
    set(this.input, { 'aria-activedescendant': `filter-offer-${this.#active}` });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const isOpen = this.#offers.length > 0;
    if (event.isComposing) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      if (isOpen && this.#active >= 0) this.#take(this.#active);
      else this.apply();
    } else if (event.key === 'Tab' && isOpen && !event.shiftKey) {
      event.preventDefault();
      this.#take(Math.max(0, this.#active));
    } else if (event.key === 'ArrowDown' && isOpen) {
      event.preventDefault();
      this.#activate(this.#active + 1);
    } else if (event.key === 'ArrowUp' && isOpen) {
      event.preventDefault();
      this.#activate(this.#active <= 0 ? this.#offers.length - 1 : this.#active - 1);
    } else if (event.key === 'Escape' && isOpen) {
      // The first Esc closes the list, the next one leaves the box.
      event.preventDefault();
      event.stopPropagation();
      this.#offer([]);
    }
  }
}
