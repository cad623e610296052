// What one may do with tasks: stop, delete, download, run again. The table and the page of a task offer the same.

import { address, del, post } from './api.js';
import { el } from './dom.js';
import { may, session } from './frame.js';
import * as live from './live.js';
import { link } from './router.js';
import { create } from './try_out.js';
import { attempt, confirm, copy, toast } from './ui.js';
import { t } from './words.js';

/** @typedef {Record<string, any>} Task */

/** @param {Task} task */
export function canStop(task) {
  return may('stop') && ['pending', 'running'].includes(task.state);
}

/** @param {Task} task */
export function canDelete(task) {
  return may('delete_others') || (may('delete_own') && task.account === session()?.account);
}

/** @param {Task} task */
export function canDownload(task) {
  // The record of a running task may be older than its first packets.
  const isThere = task.files.some((/** @type {any} */ file) => file.size > 0) || (live.isRunning(task) && task.counters.captured > 0);
  return may('download') && isThere && !isExpired(task);
}

/** Whether the time of its files is over. @param {Task} task */
export function isExpired(task) {
  return Boolean(task.expires_at) && new Date(task.expires_at).getTime() < Date.now();
}

/**
 * The address of a file.
 * @param {Task} task
 * @param {number} [index]
 */
export function fileUrl(task, index = task.files[0]?.index ?? 0) {
  return address(`tasks/${task.id}/files/${index}`);
}

/** @param {Task[]} tasks */
export async function stop(tasks) {
  const stopped = tasks.filter(canStop).map((task) => attempt(async () => live.put(await post(`tasks/${task.id}/stop`))));
  await Promise.all(stopped);
}

/**
 * Deletes tasks, once that is confirmed by who sees their names.
 * @param {Task[]} tasks
 * @returns {Promise<boolean>} whether it was confirmed
 */
export async function remove(tasks) {
  const all = tasks.filter(canDelete);
  if (all.length === 0) return false;
  const shown = all.slice(0, 12).map((task) => el('li', null, el('bdi', null, task.name), live.isRunning(task) && ` (${t('state.running')})`));
  const content = [
    el('p', null, t('delete.what', { count: all.length })),
    el('ul', { class: 'names' }, shown, all.length > shown.length && el('li', null, t('delete.more', { count: all.length - shown.length }))),
  ];
  if (!(await confirm(t('delete.title', { count: all.length }), content, t('action.delete')))) return false;
  let done = 0;
  await Promise.all(all.map((task) => attempt(async () => {
    await del(`tasks/${task.id}`, { force: live.isRunning(task) || task.state === 'pending' ? 'true' : null });
    done += 1;
  })));
  if (done > 0) toast(t('delete.done', { count: done }));
  return true;
}

/**
 * Downloads a task's first file by the browser.
 * @param {Task} task
 */
export function download(task) {
  if (!canDownload(task)) return;
  const anchor = el('a', { href: fileUrl(task), download: '' });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}

/**
 * Where a new task is created that is like this one.
 * @param {Task} task
 */
export function againLink(task) {
  return link(['new'], { from: task.id });
}

/**
 * Creates a task like this one at once.
 * @param {Task} task
 * @returns {Promise<Task | undefined>} the new task
 */
export async function runAgain(task) {
  return attempt(async () => {
    const created = await create(task.spec);
    live.put(created);
    toast(t('task.created', { name: created.name }));
    return created;
  });
}

/**
 * Items of a menu about one task.
 * @param {Task} task
 */
export function items(task) {
  return [
    { label: t('action.open'), href: link(['tasks', task.id]) },
    may('inspect') && { label: t('action.packets'), href: link(['tasks', task.id, 'packets']) },
    may('inspect') && { label: t('action.findings'), href: link(['tasks', task.id, 'findings']) },
    canDownload(task) && { label: t('action.download'), href: fileUrl(task), download: true },
    may('create') && /** @type {'line'} */ ('line'),
    may('create') && { label: t('action.run_again'), run: () => { runAgain(task); } },
    may('create') && { label: t('action.edit_and_run'), href: againLink(task) },
    { label: t('action.copy_id'), run: () => { copy(task.id); } },
    (canStop(task) || canDelete(task)) && /** @type {'line'} */ ('line'),
    canStop(task) && { label: t('action.stop'), run: () => { stop([task]); } },
    canDelete(task) && { label: t('action.delete'), kind: 'danger', run: () => { remove([task]); } },
  ];
}
