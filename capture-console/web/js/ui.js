// Pieces that pages share: icons, badges, dialogs, menus, notes that go away, and lines to copy.

import { Problem, Unreachable, isAborted } from './api.js';
import { el, svg } from './dom.js';
import { t } from './words.js';

/** Paths of 16 × 16 icons, drawn as lines. @type {Record<string, string>} */
const ICONS = {
  plus: 'M8 3v10M3 8h10',
  stop: 'M4.5 4.5h7v7h-7z',
  trash: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.8 7v3.6M9.2 7v3.6',
  download: 'M8 2.5v7.5M4.8 7 8 10.2 11.2 7M3 13h10',
  again: 'M12.8 8A4.8 4.8 0 1 1 11.2 4.4M11.5 2v2.6H8.9',
  compare: 'M2.5 5.500h11M10.800 2.800l2.700 2.700-2.700 2.700M13.500 10.500h-11M5.200 7.800l-2.700 2.700 2.700 2.700',
  edit: 'M3 13l.6-2.6 7.3-7.3 2 2-7.3 7.3zM9.7 4.3l2 2',
  share: 'M6.3 7.1l3.6-2M6.3 8.9l3.6 2M4.5 9.6a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2M11.6 5.7a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2M11.6 13.5a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2',
  copy: 'M5.5 5.5h7v7h-7zM3.5 10.5v-7h7',
  check: 'M3.5 8.5l3 3 6-7',
  warning: 'M8 2.8 14 13H2zM8 6.5v3M8 11.2v.1',
  error: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 5v3.6M8 10.8v.1',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 7.4V11M8 5.2v.1',
  running: 'M2 8h2.5L6.5 3.5l3 9L11.500 8H14',
  pending: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.8V8l2.2 1.6',
  close: 'M4 4l8 8M12 4l-8 8',
  down: 'M4 6l4 4 4-4',
  up: 'M4 10l4-4 4 4',
  right: 'M6 4l4 4-4 4',
  left: 'M10 4 6 8l4 4',
  search: 'M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9M10.400 10.400 13.500 13.500',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.500h11',
  more: 'M8 3.6v.1M8 8v.1M8 12.400v.1',
  user: 'M8 8.200a2.700 2.700 0 1 0 0-5.400 2.700 2.700 0 0 0 0 5.400M3 13.500c.5-2.600 2.500-3.800 5-3.800s4.500 1.200 5 3.800',
  help: 'M6 6.200c0-2.700 4.100-2.600 4.100 0C10.100 7.900 8 7.800 8 9.600M8 12v.1',
  flag: 'M4 14V2.800h8l-2 2.700 2 2.700H4',
  link: 'M6.800 9.200a2.500 2.500 0 0 0 3.500 0l2-2a2.500 2.500 0 0 0-3.500-3.500l-.8.8M9.200 6.800a2.500 2.500 0 0 0-3.500 0l-2 2a2.500 2.500 0 0 0 3.500 3.500l.8-.8',
  play: 'M5 3.500v9l7-4.500z',
  comment: 'M2.500 3.500h11v7.500H7L4 13.500V11H2.500z',
  history: 'M3 8a5 5 0 1 0 1.600-3.700M3 2.500v2.600h2.600M8 5.200V8l1.900 1.300',
  terminal: 'M2.500 3.500h11v9h-11zM4.800 6.200 6.600 8 4.800 9.800M8 10h3',
  stream: 'M2.500 5.500h8L8.300 3.300M13.500 10.500h-8l2.200 2.200',
  eye: 'M1.800 8c1.500-2.700 3.600-4 6.200-4s4.700 1.300 6.200 4c-1.500 2.700-3.600 4-6.200 4s-4.700-1.300-6.200-4M8 9.900a1.900 1.900 0 1 0 0-3.800 1.900 1.900 0 0 0 0 3.800',
  goto: 'M6.300 3 5 13M11 3 9.700 13M3 6h10.500M2.500 10H13',
  filter: 'M2.500 3.500h11L9.300 8.500v4l-2.600 1v-5z',
};

/**
 * An icon. It says nothing to a screen reader: a word stands beside it, or the button has a label.
 * @param {string} name
 */
export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: ICONS[name] }));
}

/** Characters of a text from outside that are shown. */
const MOST_FOREIGN = 600;

/**
 * A text from outside: from packets, names, or people. It turns no text around it, and is shortened where it is longer
 * than anybody reads.
 * @param {unknown} text
 */
export function foreign(text) {
  const whole = String(text ?? '');
  return el('bdi', null, whole.length > MOST_FOREIGN ? `${whole.slice(0, MOST_FOREIGN)}…` : whole);
}

/**
 * A button with an icon and a word.
 * @param {string} word key of its text
 * @param {(event: Event) => void} run
 * @param {{icon?: string, kind?: string, iconOnly?: boolean, props?: Record<string, any>}} [options] `kind`: `primary`, `danger`, `quiet`
 * @returns {HTMLButtonElement}
 */
export function button(word, run, options = {}) {
  const text = t(word);
  return el(
    'button',
    { type: 'button', class: ['button', options.kind, options.iconOnly && 'icon-only'].filter(Boolean).join(' '), onclick: run,
      ...(options.iconOnly ? { 'aria-label': text, title: text } : {}), ...options.props },
    options.icon && icon(options.icon),
    !options.iconOnly && el('span', null, text),
  );
}

const STATE_ICONS = /** @type {Record<string, string>} */ ({
  pending: 'pending', running: 'running', stopping: 'stop', completed: 'check', failed: 'error',
});

/**
 * The state of a task: a word and an icon, never colour alone.
 * @param {string} state
 */
export function stateBadge(state) {
  return el('span', { class: `badge state-${state}` }, icon(STATE_ICONS[state] ?? 'info'), t(`state.${state}`));
}

/**
 * A severity: `info`, `warn` or `high`.
 * @param {string} severity
 * @param {string | number} [text] in the place of its word
 */
export function severityBadge(severity, text) {
  const icons = /** @type {Record<string, string>} */ ({ info: 'info', warn: 'warning', high: 'error' });
  const word = t(`severity.${severity}`);
  return el('span', { class: `badge severity-${severity}`, title: word, 'aria-label': text === undefined ? null : `${text} ${word}`, role: text === undefined ? null : 'img' },
    icon(icons[severity] ?? 'info'), text ?? word);
}

/**
 * An error as a sentence for people.
 * @param {unknown} error
 */
export function errorText(error) {
  if (error instanceof Unreachable) return t('error.unreachable');
  if (error instanceof Problem) {
    const faults = error.errors.map((fault) => fault.detail).filter(Boolean);
    return faults.length ? faults.join(' · ') : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/**
 * A box that says what went wrong, or is to be minded.
 * @param {'info' | 'warn' | 'high' | 'good'} kind
 * @param {...any} content
 */
export function notice(kind, ...content) {
  const icons = { info: 'info', warn: 'warning', high: 'error', good: 'check' };
  return el('div', { class: `notice ${kind}`, role: kind === 'high' ? 'alert' : 'status' }, icon(icons[kind]), el('div', null, ...content));
}

/**
 * Says something that goes away by itself.
 * @param {string} text
 * @param {'good' | 'high' | 'info'} [kind]
 */
export function toast(text, kind = 'good') {
  const shown = el('div', { class: `toast ${kind}` }, icon(kind === 'good' ? 'check' : kind === 'high' ? 'error' : 'info'), el('span', null, text));
  const place = document.getElementById('toasts');
  place?.append(shown);
  const time = kind === 'high' ? 9000 : 4000;
  setTimeout(() => shown.remove(), time);
}

/**
 * Runs what may fail, and says so where it does.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T | undefined>}
 */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (!isAborted(error)) toast(errorText(error), 'high');
    return undefined;
  }
}

/**
 * Opens a dialog, and gives what it was closed with; an empty string for Esc.
 * @param {string} title
 * @param {any} content nodes, or a function that gets `close` and gives them
 * @param {{label: string, value: string, kind?: string}[]} [actions] the last is done by Enter
 * @param {string} [kind] class of the dialog
 * @returns {Promise<string>}
 */
export function dialog(title, content, actions = [], kind = '') {
  return new Promise((resolve) => {
    const id = `dialog-${Math.random().toString(36).slice(2)}`;
    /** @type {HTMLDialogElement} */
    const box = el('dialog', { class: `dialog ${kind}`, 'aria-labelledby': id });
    const close = (/** @type {string} */ value = '') => box.close(value);
    const form = el('form', { method: 'dialog', onsubmit: (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const chosen = /** @type {HTMLButtonElement | null} */ (event.submitter);
      close(chosen?.value ?? actions.at(-1)?.value ?? '');
    } },
      el('header', null, el('h2', { id }, title), button('action.close', () => close(), { icon: 'close', kind: 'quiet', iconOnly: true })),
      el('div', { class: 'dialog-body', tabindex: '-1' }, typeof content === 'function' ? content(close) : content),
      actions.length > 0 && el('footer', null, actions.map((action, index) =>
        // Enter in a field does what the first submit button does.
        el('button', { type: index === actions.length - 1 ? 'submit' : 'button', class: `button ${action.kind ?? ''}`, value: action.value,
          onclick: index === actions.length - 1 ? null : () => close(action.value) }, action.label))));
    box.append(form);
    const before = document.activeElement;
    box.addEventListener('close', () => {
      const value = box.returnValue;
      box.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(value);
    });
    box.addEventListener('pointerdown', (event) => {
      if (event.target === box) close();
    });
    document.body.append(box);
    box.showModal();
    const first = box.querySelector('[autofocus], .dialog-body input, .dialog-body select, .dialog-body textarea, footer button:last-child');
    if (first instanceof HTMLElement) first.focus();
  });
}

/**
 * Asks before something that cannot be taken back.
 * @param {string} title
 * @param {any} content
 * @param {string} label of the button that does it
 * @param {string} [kind]
 */
export async function confirm(title, content, label, kind = 'danger') {
  const actions = [{ label: t('action.cancel'), value: '' }, { label, value: 'yes', kind }];
  return (await dialog(title, content, actions, 'narrow')) === 'yes';
}

/**
 * A button that opens a menu.
 * @param {any} label content of the button
 * @param {() => ({label: any, run?: () => void, href?: string, kind?: string, checked?: boolean, download?: boolean} | 'line' | null | false)[]} items
 * @param {Record<string, any>} [props] of the button
 */
export function menu(label, items, props = {}) {
  const id = `menu-${Math.random().toString(36).slice(2)}`;
  const list = el('div', { id, class: 'menu', popover: 'auto', role: 'menu' });
  const opener = el('button', { type: 'button', class: 'button quiet', 'aria-haspopup': 'menu', 'aria-expanded': 'false', ...props }, label);
  opener.popoverTargetElement = list;
  list.addEventListener('beforetoggle', (/** @type {any} */ event) => {
    if (event.newState !== 'open') return;
    list.replaceChildren(...items().filter((item) => item !== null && item !== false).map((item) => {
      if (item === 'line') return el('hr');
      const content = [item.checked !== undefined && el('span', { class: 'menu-check' }, item.checked ? icon('check') : ''), el('span', null, item.label)];
      const attributes = { class: `menu-item ${item.kind ?? ''}`, tabindex: '-1', role: item.checked === undefined ? 'menuitem' : 'menuitemradio',
        'aria-checked': item.checked === undefined ? null : String(item.checked) };
      if (item.href) return el('a', { ...attributes, href: item.href, download: item.download ? '' : null, onclick: () => list.hidePopover() }, content);
      return el('button', { ...attributes, type: 'button', onclick: () => { list.hidePopover(); item.run?.(); } }, content);
    }));
  });
  list.addEventListener('toggle', (/** @type {any} */ event) => {
    const isOpen = event.newState === 'open';
    opener.setAttribute('aria-expanded', String(isOpen));
    if (isOpen) {
      position(opener, list);
      if (!list.contains(document.activeElement)) /** @type {HTMLElement | null} */ (list.querySelector('.menu-item'))?.focus();
    }
  });
  const move = (/** @type {KeyboardEvent} */ event) => {
    if (!list.matches(':popover-open')) return;
    const all = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('.menu-item')]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = event.key === 'ArrowDown' ? at + 1 : event.key === 'ArrowUp' ? Math.max(at, 0) - 1 : event.key === 'Home' ? 0 : event.key === 'End' ? all.length - 1 : null;
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    all[(to + all.length) % all.length]?.focus();
  };
  // The opener has the focus until the browser tells that the list is open, which is later than it is seen.
  for (const element of [list, opener]) element.addEventListener('keydown', move);
  return el('span', { class: 'menu-anchor' }, opener, list);
}

/**
 * Places what was opened below its opener, within the window.
 * @param {HTMLElement} opener
 * @param {HTMLElement} box
 */
export function position(opener, box) {
  const at = opener.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - size.width - 8));
  const below = at.bottom + 4;
  const top = below + size.height > innerHeight - 8 ? Math.max(8, at.top - size.height - 4) : below;
  box.style.setProperty('left', `${left}px`);
  box.style.setProperty('top', `${top}px`);
}

/**
 * Puts a text on the clipboard, and says so. Without a clipboard (a page that is not from a secure origin) the text is
 * shown, selected.
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('action.copied'));
  } catch {
    const area = el('textarea', { class: 'mono', rows: 4, readonly: true, 'aria-label': t('action.copy') });
    area.value = text;
    const closed = dialog(t('action.copy'), area);
    area.select();
    await closed;
  }
}

/**
 * A line to be copied.
 * @param {string} text
 * @param {string} [label] what it is for
 */
export function copyLine(text, label) {
  return el('div', { class: 'copy-line' },
    label && el('div', { class: 'copy-label' }, label),
    el('pre', { class: 'mono', tabindex: '0', role: 'group', 'aria-label': label ?? t('action.copy') }, foreign(text)),
    button('action.copy', () => copy(text), { icon: 'copy', kind: 'quiet', iconOnly: true }));
}

/**
 * What stands where nothing is yet.
 * @param {string} title
 * @param {...any} content
 */
export function empty(title, ...content) {
  return el('div', { class: 'empty' }, el('h2', null, title), ...content);
}

/**
 * What stands in the place of a whole page.
 * @param {string} title
 * @param {...any} content
 */
export function blank(title, ...content) {
  return el('div', { class: 'empty' }, el('h1', null, title), ...content);
}

/** What stands while something comes. */
export function loading() {
  return el('div', { class: 'loading', role: 'status' }, el('span', { class: 'spinner', 'aria-hidden': 'true' }), t('action.loading'));
}

/** Style sheets that were asked for, by name. @type {Map<string, Promise<void>>} */
const styles = new Map();

/**
 * Loads the style sheet of a page, once. A page that is shown while an earlier one still loads the same sheet waits for
 * it as well: without its style a page is wider than the window.
 * @param {string} name of the file in `css`
 * @returns {Promise<void>}
 */
export function style(name) {
  const known = styles.get(name);
  if (known) return known;
  const href = new URL(`../css/${name}.css`, import.meta.url).href;
  /** @type {Promise<void>} */
  const loaded = new Promise((resolve) => {
    const failed = () => {
      // The next page asks again.
      styles.delete(name);
      link.remove();
      resolve();
    };
    const link = el('link', { rel: 'stylesheet', href, onload: () => resolve(), onerror: failed });
    document.head.append(link);
  });
  styles.set(name, loaded);
  return loaded;
}
