// Links to a task for people without a token: what they show, how long they last, and which there are.

import { call, get, post } from './api.js';
import { el, replace } from './dom.js';
import * as format from './format.js';
import { attempt, button, copyLine, dialog, errorText, foreign, loading, notice, toast } from './ui.js';
import { t } from './words.js';

const DAY = 86400;
const LASTS = [3600, DAY, 7 * DAY, 30 * DAY];
const PACKETS = ['none', 'headers', 'whole'];

/**
 * Opens the dialog of a task's links.
 * @param {import('./live.js').Task} task
 */
export function share(task) {
  const lasts = el('select', { id: 'share-lasts' }, LASTS.map((seconds) => el('option', { value: seconds, selected: seconds === DAY }, format.duration(seconds))));
  const findings = el('input', { type: 'checkbox', checked: true });
  const packets = PACKETS.map((value) => el('input', { type: 'radio', name: 'share-packets', value, checked: value === 'headers' }));
  const anonymise = el('input', { type: 'checkbox', checked: true });
  const note = el('input', { id: 'share-note', type: 'text', maxlength: 200, autocomplete: 'off', onkeydown: (/** @type {KeyboardEvent} */ event) => {
    // Enter makes the link; the dialog would take it for its end.
    if (event.key !== 'Enter') return;
    event.preventDefault();
    make();
  } });
  const made = el('div', { class: 'stack', 'aria-live': 'polite' });
  const list = el('div', { class: 'stack' }, loading());
  const path = `tasks/${task.id}/shares`;

  const make = () => attempt(async () => {
    const body = { expires_in: Number(lasts.value), findings: findings.checked, packets: packets.find((input) => input.checked)?.value, anonymise: anonymise.checked,
      ...(note.value.trim() ? { note: note.value.trim() } : {}) };
    const { url } = await post(path, body);
    replace(made, notice('good', t('share.made')), copyLine(new URL(url, document.baseURI).href, t('share.link')));
    await show();
  });

  const show = async () => {
    try {
      const { shares } = await get(path);
      replace(list, shares.length === 0 ? el('p', { class: 'muted' }, t('share.none')) : el('ul', { class: 'shares' }, shares.map(line)));
    } catch (error) {
      replace(list, notice('high', errorText(error)));
    }
  };

  /** @param {any} one */
  const line = (one) => el('li', null,
    el('div', { class: 'grow' },
      el('div', null, [one.findings && t('share.findings'), one.packets !== 'none' && t(`share.packets.${one.packets}`), one.anonymise && t('share.anonymise')].filter(Boolean).join(' · ')),
      one.note && el('div', null, foreign(one.note)),
      el('div', { class: 'help' }, t('share.about', { who: one.created_by ?? '', when: format.relative(one.expires_at), count: one.uses ?? 0 }))),
    button('share.revoke', () => attempt(async () => {
      await call('DELETE', `shares/${encodeURIComponent(one.id)}`);
      toast(t('share.revoked'));
      await show();
    }), { icon: 'trash', kind: 'danger' }));

  show();
  return dialog(t('share.title'), el('div', { class: 'stack share' },
    el('p', { class: 'muted' }, t('share.what')),
    el('div', { class: 'field' }, el('label', { for: 'share-lasts' }, t('share.lasts')), lasts),
    el('label', { class: 'check' }, findings, el('span', null, t('share.findings'))),
    el('fieldset', { class: 'segments', role: 'radiogroup' }, el('legend', null, t('share.packets')),
      el('div', { class: 'segment-row' }, packets.map((input) => el('label', { class: 'segment' }, input, el('span', null, t(`share.packets.${input.value}`)))))),
    el('label', { class: 'check' }, anonymise, el('span', null, t('share.anonymise'), el('span', { class: 'help' }, ' ', t('share.anonymise.help')))),
    el('div', { class: 'field' }, el('label', { for: 'share-note' }, t('share.note')), note),
    el('div', null, button('share.make', make, { icon: 'link', kind: 'primary' })),
    made, el('h3', null, t('share.there_are')), list), [], 'narrow');
}
