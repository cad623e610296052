// Whether this host can capture, in the words of `doctor`.

import { get } from '../api.js';
import { el, replace } from '../dom.js';
import { attempt, button, copy, icon, loading, notice, style } from '../ui.js';
import { t } from '../words.js';

export const title = () => t('nav.health');

const KINDS = /** @type {Record<string, {icon: string, badge: string}>} */ ({
  ok: { icon: 'check', badge: 'state-completed' },
  warning: { icon: 'warning', badge: 'severity-warn' },
  failed: { icon: 'error', badge: 'severity-high' },
});

/** @param {HTMLElement} root */
export async function show(root) {
  await style('admin');
  const body = el('div', null, loading());
  /** @type {any[]} */
  let checks = [];
  const look = async () => {
    const answer = await attempt(() => get('doctor'));
    if (!answer) return replace(body, notice('high', t('error.title')));
    ({ checks } = answer);
    const count = (/** @type {string} */ status) => checks.filter((check) => check.status === status).length;
    const [failed, warnings] = [count('failed'), count('warning')];
    const kind = failed ? 'high' : warnings ? 'warn' : 'good';
    const sentence = failed ? t('health.failed', { count: failed }) : warnings ? t('health.warnings', { count: warnings }) : t('health.good');
    replace(body, notice(kind, el('b', null, sentence)), el('ul', { class: 'checks' }, checks.map(line)));
  };
  const text = () => checks.map(({ name, status, detail, remedy }) => `${status}\t${name}\t${detail}${remedy ? `\t${remedy}` : ''}`).join('\n');
  replace(root, el('div', { class: 'page-head' }, el('h1', null, t('nav.health')),
    el('div', { class: 'row' }, button('health.again', look, { icon: 'again' }), button('health.copy', () => copy(text()), { icon: 'copy' }))), body);
  await look();
}

/** @param {any} check */
function line({ name, status, detail, remedy }) {
  const kind = KINDS[status] ?? KINDS.warning;
  return el('li', { class: 'card' },
    el('span', { class: `badge ${kind.badge}` }, icon(kind.icon), t(`health.status.${status}`)),
    el('div', { class: 'grow' }, el('b', null, name), el('div', null, detail), remedy && el('div', { class: 'muted' }, remedy)));
}
