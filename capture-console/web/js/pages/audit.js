// The audit log: who did what, when, from where. Newest first, more as one scrolls.

import { get, post } from '../api.js';
import { el, replace, set } from '../dom.js';
import * as format from '../format.js';
import { bind } from '../keys.js';
import { link, place, setQuery } from '../router.js';
import { attempt, button, empty, icon, loading, notice, style } from '../ui.js';
import { t } from '../words.js';

export const title = () => t('nav.audit');

const STEP = 100;

/** @param {HTMLElement} root */
export async function show(root) {
  await style('admin');
  const { query } = place();
  const filter = { action: query.get('action') ?? '', object: query.get('object') ?? '', who: query.get('who') ?? '' };
  const inputs = Object.entries(filter).map(([name, value]) =>
    el('div', { class: 'field' }, el('label', { for: `audit-${name}` }, t(`audit.${name}`)), el('input', { id: `audit-${name}`, type: 'search', value, dataset: { name }, spellcheck: 'false' })));
  const verdict = el('div', { role: 'status' });
  const body = el('tbody');
  const more = el('div', { class: 'more' });
  const box = el('div', null, loading());
  replace(root,
    el('div', { class: 'page-head' }, el('h1', null, t('nav.audit')), button('audit.verify', verify, { icon: 'check' })),
    verdict,
    el('form', { class: 'row audit-filter', onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, inputs),
    box);

  async function verify() {
    replace(verdict, loading());
    const answer = await attempt(() => post('audit/verify'));
    replace(verdict, answer && notice(answer.valid ? 'good' : 'high', answer.valid ? t('audit.valid', { lines: answer.lines }) : t('audit.invalid'), ' ', answer.detail));
  }

  /** @type {string | null} */
  let cursor = null;
  let isReading = false;
  let reading = 0;
  const read = async (/** @type {boolean} */ isNew) => {
    if (isReading && !isNew) return;
    isReading = true;
    reading += 1;
    const mine = reading;
    const answer = await attempt(() => get('audit', { limit: STEP, cursor: isNew ? null : cursor, ...filter }));
    if (mine !== reading) return;
    isReading = false;
    if (!answer) return replace(box);
    if (isNew) {
      replace(body);
      const heads = ['time', 'who', 'from', 'action', 'object', 'outcome'].map((name) => el('th', { scope: 'col' }, t(`audit.${name}`)));
      replace(box, answer.lines.length === 0 ? empty(t('audit.none')) : [el('div', { class: 'table-box' }, el('table', { class: 'table audit' }, el('thead', null, el('tr', null, heads)), body)), more]);
    }
    body.append(...answer.lines.map(line));
    cursor = answer.next_cursor;
    set(more, { hidden: !cursor });
  };
  const seen = new IntersectionObserver((entries) => {
    if (cursor && entries.some((entry) => entry.isIntersecting)) read(false);
  }, { rootMargin: '800px' });
  seen.observe(more);
  let typing = 0;
  root.addEventListener('input', (event) => {
    const { dataset, value } = /** @type {HTMLInputElement} */ (event.target);
    if (!dataset.name) return;
    /** @type {any} */ (filter)[dataset.name] = value.trim();
    clearTimeout(typing);
    typing = setTimeout(() => { setQuery(filter); read(true); }, 250);
  });
  const unbind = bind({ '/': ['keys.search', () => /** @type {HTMLElement | null} */ (root.querySelector('input'))?.focus()] });
  await read(true);
  return () => { unbind(); seen.disconnect(); };
}

/** @param {any} entry */
function line({ time, who, from, action, object, outcome, detail }) {
  const isFine = outcome === 'done' || outcome === 'ok';
  const task = /^(?:task )?([0-7][0-9A-HJKMNP-TV-Z]{25})\b/.exec(object ?? '')?.[1];
  return el('tr', null,
    el('td', { title: time }, format.dateTime(time)),
    el('td', null, el('bdi', null, who)),
    el('td', { class: 'muted' }, el('bdi', null, from)),
    el('td', { class: 'action' }, action),
    el('td', { class: 'mono' }, task ? el('a', { href: link(['tasks', task]) }, object) : el('bdi', null, object)),
    el('td', null, el('span', { class: `badge ${isFine ? 'state-completed' : 'severity-warn'}` }, icon(isFine ? 'check' : 'warning'), outcome), detail && el('div', { class: 'muted' }, el('bdi', null, detail))));
}
