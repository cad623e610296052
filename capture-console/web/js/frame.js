// What stands around every page: where one is, whether it is live, who one is, language, theme, and the keys.

import { call, get } from './api.js';
import { el, replace, set, setText } from './dom.js';
import * as format from './format.js';
import { bind, bound } from './keys.js';
import * as live from './live.js';
import { go } from './router.js';
import { attempt, dialog, icon, menu } from './ui.js';
import { LANGUAGES, currentLanguage, load, t } from './words.js';

/** @typedef {Record<string, any>} Session what `GET /session` gives */

/** Tells `language` when all texts are to be shown anew. */
export const changes = new EventTarget();

const THEMES = ['auto', 'light', 'dark'];

/** @type {Session | null} */
let current = null;
let built = false;
let unbind = () => {};
/** @type {HTMLElement} */
let main;

/** Who asks; null on the page of a share. */
export function session() {
  return current;
}

/**
 * Whether one may: `view`, `create`, `stop`, `download`, `delete_own`, `delete_others`, `inspect`, `administer`.
 * @param {string} right
 */
export function may(right) {
  return current?.rights?.includes(right) ?? false;
}

/** Whether there is something to show pages in. */
export function isBuilt() {
  return built;
}

/** Sets the colours that were chosen. @param {string} [chosen] */
export function applyTheme(chosen) {
  if (chosen) localStorage.setItem('theme', chosen);
  const theme = localStorage.getItem('theme') ?? 'auto';
  document.documentElement.dataset.theme = THEMES.includes(theme) ? theme : 'auto';
  return document.documentElement.dataset.theme;
}

/** Pages in the order of the bar. */
const NAVIGATION = [
  { name: 'tasks', key: 'g t', right: 'view' },
  { name: 'interfaces', key: 'g i', right: 'view' },
  { name: 'storage', key: 'g q', right: 'view' },
  { name: 'access', key: 'g a', right: 'administer' },
  { name: 'audit', key: 'g l', right: 'administer' },
  { name: 'health', key: 'g h', right: 'inspect' },
];

/**
 * Builds the frame. Without a session it is that of a share.
 * @param {HTMLElement} app
 * @param {Session | null} who
 */
export function build(app, who) {
  unbind();
  current = who;
  built = true;
  main = el('main', { id: 'main', tabindex: '-1' });
  const pages = who ? NAVIGATION.filter(({ right }) => may(right)) : [];
  const bar = el('header', { class: 'bar' },
    el('a', { class: 'skip', href: '#main', onclick: (/** @type {Event} */ event) => { event.preventDefault(); main.focus(); } }, t('nav.skip')),
    el('a', { class: 'brand', href: who ? '#/tasks' : location.hash }, logo(), el('span', null, el('b', null, 'capture-agent'), who && el('span', { class: 'host' }, who.host))),
    who && el('nav', { 'aria-label': t('nav.label') }, el('div', { class: 'nav-list' }, pages.map(({ name }) =>
      el('a', { href: `#/${name}`, dataset: { page: name } }, t(`nav.${name}`))))),
    el('div', { class: 'bar-end' },
      who && connectionState(),
      who && quota(),
      menu([icon('user'), el('span', { class: 'who' }, who ? who.name : t(`theme.${applyTheme()}`)), el('span', { class: 'visually-hidden' }, t('nav.personal')), icon('down')], () => personal(who), { class: 'button quiet personal' }),
      who && el('button', { type: 'button', class: 'button quiet icon-only', 'aria-label': t('keys.title'), title: t('keys.title'), onclick: showKeys }, icon('help'))));
  replace(app, bar, main, el('div', { id: 'toasts', class: 'toasts', role: 'status', 'aria-live': 'polite' }));
  if (!who) {
    unbind = () => {};
    return;
  }
  /** @type {Record<string, [string, () => void]>} */
  const keys = { '?': ['keys.help', showKeys] };
  for (const { name, key } of pages) keys[key] = [`keys.go_${name}`, () => go([name])];
  if (may('create')) keys.n = ['keys.new', () => go(['new'])];
  unbind = bind(keys);
}

/** An empty root for a page. @param {string} name */
export function newRoot(name) {
  const marked = ['task', 'packets', 'conversations', 'findings', 'new', 'compare'].includes(name) ? 'tasks' : name;
  for (const link of document.querySelectorAll('.bar nav a')) {
    const isHere = /** @type {HTMLElement} */ (link).dataset.page === marked;
    set(link, { 'aria-current': isHere ? 'page' : null });
  }
  const root = el('div', { class: `page page-${name}` });
  set(main, { 'aria-busy': 'true' });
  main.replaceChildren(root);
  scrollTo(0, 0);
  return root;
}

/** The page has what it shows at first. */
export function setReady() {
  set(main, { 'aria-busy': null });
}

function logo() {
  const of = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel=icon]'));
  return el('img', { src: of?.href, alt: '', width: 26, height: 26 });
}

/** Whether what is shown is of now, and how old it is where it is not. */
function connectionState() {
  const text = el('span');
  const box = el('span', { class: 'live', role: 'status' }, el('span', { class: 'dot', 'aria-hidden': 'true' }), text);
  const update = () => {
    const { state, at } = live.connection;
    set(box, { 'data-state': state, title: at ? t('live.last', { time: format.timeOfDay(new Date(at)) }) : null });
    setText(text, state === 'lost' && at ? t('live.lost_since', { time: format.timeOfDay(new Date(at)) }) : t(`live.${state}`));
  };
  update();
  live.events.addEventListener('state', update);
  return box;
}

/** What is left of the day's tasks. */
function quota() {
  const box = el('a', { class: 'quota', href: '#/storage', hidden: true });
  const update = async () => {
    const known = await get('quota').catch(() => null);
    if (!known || !box.isConnected) return;
    const text = known.limit === null ? t('quota.unlimited') : t('quota.left', { left: known.remaining, limit: known.limit });
    setText(box, text);
    set(box, { hidden: false, title: known.limit === null ? null : t('quota.resets', { when: format.dateTime(known.resets_at) }), 'data-low': known.limit !== null && known.remaining <= known.limit / 10 });
  };
  queueMicrotask(update);
  let timer = 0;
  live.events.addEventListener('task', () => {
    if (!box.isConnected) return;
    clearTimeout(timer);
    timer = setTimeout(update, 1500);
  });
  return box;
}

/** @param {Session | null} who */
function personal(who) {
  const language = currentLanguage();
  const theme = applyTheme();
  return [
    who && { label: el('span', { class: 'menu-who' }, el('b', null, who.name), el('small', null, `${t(`role.${who.role}`)} · ${who.account}`)), run: () => go(['access']) , kind: 'static' },
    who && /** @type {'line'} */ ('line'),
    ...Object.entries(LANGUAGES).map(([code, name]) => ({
      label: name, checked: code === language,
      run: async () => { await load(code); changes.dispatchEvent(new Event('language')); },
    })),
    /** @type {'line'} */ ('line'),
    ...THEMES.map((name) => ({ label: t(`theme.${name}`), checked: name === theme, run: () => { applyTheme(name); } })),
    who && who.way === 'cookie' && /** @type {'line'} */ ('line'),
    who && who.way === 'cookie' && { label: t('action.sign_out'), run: signOut },
  ];
}

async function signOut() {
  await attempt(() => call('DELETE', 'session'));
  location.hash = '';
  location.reload();
}

function showKeys() {
  const rows = bound().map(({ keys, text }) => el('tr', null, el('td', null, keys.split(' ').map((/** @type {string} */ key) => el('kbd', null, key))), el('td', null, text)));
  dialog(t('keys.title'), el('table', { class: 'keys' }, el('tbody', null, rows)), [], 'narrow');
}
