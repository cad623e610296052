// The day's quota, and the room for captures.

import { get } from '../api.js';
import { el, replace } from '../dom.js';
import * as format from '../format.js';
import { attempt, loading, notice, style } from '../ui.js';
import { t } from '../words.js';

export const title = () => t('nav.storage');

/** @param {HTMLElement} root */
export async function show(root) {
  await style('admin');
  const body = el('div', { class: 'cards' }, loading());
  replace(root, el('div', { class: 'page-head' }, el('h1', null, t('nav.storage'))), body);
  const fill = async () => {
    const [quota, storage] = await Promise.all([attempt(() => get('quota')), attempt(() => get('storage'))]);
    replace(body, quota && ofDay(quota), storage && room(storage));
  };
  await fill();
  const timer = setInterval(() => { if (!document.hidden && !body.contains(document.activeElement)) fill(); }, 15_000);
  return () => clearInterval(timer);
}

/** @param {any} quota */
function ofDay(quota) {
  const isLimited = quota.limit !== null;
  return el('section', { class: 'card' },
    el('h2', null, t('storage.quota')),
    el('p', { class: 'figure' }, isLimited ? t('quota.left', { left: quota.remaining, limit: quota.limit }) : t('quota.unlimited')),
    isLimited && meter(t('storage.used_tasks', { used: quota.used, limit: quota.limit }), [quota.used / Math.max(1, quota.limit)]),
    el('dl', { class: 'facts' },
      ...fact('storage.account', quota.account),
      ...fact('storage.edition', quota.edition),
      ...fact('storage.resets', `${format.dateTime(quota.resets_at)} (${format.relative(quota.resets_at)})`)));
}

/** @param {any} storage */
function room(storage) {
  const used = storage.budget ? storage.captures_bytes / storage.budget : 0;
  const isTight = storage.disk_free < storage.budget_left;
  return el('section', { class: 'card' },
    el('h2', null, t('storage.captures')),
    el('p', { class: 'figure' }, t('storage.of_budget', { used: format.bytes(storage.captures_bytes), budget: format.bytes(storage.budget) })),
    meter(t('storage.of_budget', { used: format.bytes(storage.captures_bytes), budget: format.bytes(storage.budget) }), [used]),
    isTight && notice('warn', t('storage.tight', { free: format.bytes(storage.disk_free), left: format.bytes(storage.budget_left) })),
    el('dl', { class: 'facts' },
      ...fact('storage.left', format.bytes(storage.budget_left)),
      ...fact('storage.disk', t('storage.free_of', { free: format.bytes(storage.disk_free), total: format.bytes(storage.disk_total) })),
      ...fact('storage.files', t('storage.files_of_tasks', { files: format.number(storage.files), count: storage.tasks_with_files })),
      ...fact('storage.retention', duration(storage.retention)),
      ...fact('storage.next_expiry', storage.oldest_expiry ? `${format.dateTime(storage.oldest_expiry)} (${format.relative(storage.oldest_expiry)})` : '–'),
      ...fact('storage.database', format.bytes(storage.database_bytes))));
}

/** @param {number | string} value seconds, or a text */
function duration(value) {
  return typeof value === 'number' ? format.duration(value) : value;
}

/** @param {string} word @param {string} value */
function fact(word, value) {
  return [el('dt', null, t(word)), el('dd', null, value)];
}

/** @param {string} label @param {number[]} parts 0 to 1 each */
function meter(label, parts) {
  return el('div', { class: 'meter', role: 'img', 'aria-label': label }, parts.map((part) => el('span', { style: { width: `${Math.min(100, part * 100)}%` } })));
}
