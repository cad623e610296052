// The head of a task's pages: its name, its state, what can be done with it, and the tabs.

import { taskById } from './api.js';
import { el, replace } from './dom.js';
import * as format from './format.js';
import { may, session } from './frame.js';
import { bind } from './keys.js';
import * as live from './live.js';
import { go } from './router.js';
import { share } from './share.js';
import { queryLike } from './spec.js';
import * as taskActions from './task_actions.js';
import { tabs } from './task_tabs.js';
import { blank, button, foreign, icon, stateBadge } from './ui.js';
import { parts, t } from './words.js';

/** @typedef {import('./live.js').Task} Task */

/**
 * A task by its ID; null, and a word about it in the root, where it is not there.
 * @param {string} id
 * @param {HTMLElement} root
 * @returns {Promise<Task | null>}
 */
export async function find(id, root) {
  const task = live.tasks.get(id) ?? await taskById(id);
  if (!task) {
    replace(root, blank(t('task.gone'), el('p', null, t('task.gone_why')), el('a', { class: 'button', href: '#/tasks' }, t('nav.tasks'))));
  }
  return task;
}

/** Whether it has something to download. @param {Task} task */
export const hasFiles = (task) => taskActions.canDownload(task);

/**
 * @param {Task} task
 * @param {import('./task_tabs.js').Tab} current
 * @param {() => void} [downloaded] told when a file was asked for
 */
export function taskHead(task, current, downloaded = () => {}) {
  const element = el('div', { class: 'task-head' });
  let now = task;
  let shown = '';

  const isOver = () => now.state === 'completed' || now.state === 'failed';
  const actions = {
    stop: { can: () => taskActions.canStop(now), run: () => taskActions.stop([now]) },
    again: { can: () => may('create') && isOver(), run: async () => {
      const made = await taskActions.runAgain(now);
      if (made) go(['tasks', made.id]);
    } },
    edit: { can: () => may('create'), run: () => go(['new'], queryLike(now.spec)) },
    download: { can: () => hasFiles(now), run: () => { taskActions.download(now); downloaded(); } },
    share: { can: () => may('inspect') && session()?.features?.shares !== false && isOver() && now.files.length > 0, run: () => share(now) },
    remove: { can: () => taskActions.canDelete(now), run: () => taskActions.remove([now]) },
  };

  const update = (/** @type {Task} */ changed) => {
    now = changed;
    const can = Object.fromEntries(Object.entries(actions).map(([name, { can: is }]) => [name, is()]));
    const text = JSON.stringify([now.name, now.state, now.stop_reason, now.created_by, can]);
    if (text === shown) return;
    shown = text;
    const act = (/** @type {keyof typeof actions} */ name) => () => { actions[name].run(); };
    replace(element,
      el('nav', { class: 'crumbs', 'aria-label': t('task.crumbs') }, el('a', { href: '#/tasks' }, t('nav.tasks')), icon('right')),
      el('div', { class: 'page-head' },
        el('div', { class: 'task-name' }, el('h1', null, foreign(now.name)), stateBadge(now.state),
          el('span', { class: 'muted' }, created(now))),
        el('div', { class: 'row actions' },
          can.stop && button('action.stop', act('stop'), { icon: 'stop', kind: 'primary', props: { 'aria-keyshortcuts': 's' } }),
          can.again && button('action.run_again', act('again'), { icon: 'again' }),
          can.edit && button('action.edit_and_run', act('edit'), { icon: 'edit' }),
          can.download && button(live.isRunning(now) ? 'task.download_so_far' : 'action.download', act('download'), { icon: 'download', props: { 'aria-keyshortcuts': 'd' } }),
          can.share && button('task.share', act('share'), { icon: 'share' }),
          can.remove && button('action.delete', act('remove'), { icon: 'trash', kind: 'danger', iconOnly: true }))),
      tabs(now, current));
  };
  update(task);

  /** @param {keyof typeof actions} name */
  const key = (name) => () => { if (actions[name].can()) actions[name].run(); };
  const end = bind({ s: ['keys.stop', key('stop')], d: ['keys.download', key('download')], r: ['action.run_again', key('again')], e: ['action.edit_and_run', key('edit')],
    Escape: ['keys.go_tasks', () => go(['tasks'])] });
  return { element, update, end };
}

/** @param {Task} task */
function created(task) {
  const when = format.dateTime(task.created_at);
  return task.created_by ? parts('task.created_by', { when, who: foreign(task.created_by) }) : t('task.created_when', { when });
}
