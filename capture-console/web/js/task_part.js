// A part of a task that is a page of its own: below the task's name and tabs, and without being built anew for another
// place in it.

import { el, replace } from './dom.js';
import * as format from './format.js';
import * as live from './live.js';
import { isExpired } from './task_actions.js';
import { find } from './task_head.js';
import { tabs } from './task_tabs.js';
import { empty, loading, stateBadge, style } from './ui.js';
import { t } from './words.js';

/** @typedef {import('./router.js').Place} Place */
/** @typedef {{update: (at: Place) => void, stop: () => void}} Part */

/**
 * The page of a part.
 * @param {import('./task_tabs.js').Tab} tab
 * @param {string} word of its title, with the task's name
 * @param {(root: HTMLElement, task: import('./live.js').Task, at: Place) => Part} make
 */
export function taskPart(tab, word, make) {
  /** @type {Part | null} */
  let shown = null;
  let name = '';

  /** @param {HTMLElement} root @param {Place} at */
  const show = async (root, at) => {
    replace(root, loading());
    const id = at.path[1];
    const [found] = await Promise.all([find(id, root), style('packets')]);
    if (!found) return undefined;
    const task = live.latest(found);
    name = task.name;
    const head = el('header', { class: 'task-head' });
    const body = el('div', { class: 'task-part' });
    replace(root, head, body);
    const end = partHead(head, task, tab);
    if (isExpired(task)) {
      replace(body, empty(t('packets.expired'), el('p', null, t('task.expired', { when: format.dateTime(task.expires_at) }))));
      return end;
    }
    const made = make(body, task, at);
    shown = made;
    return () => {
      end();
      made.stop();
      if (shown === made) shown = null;
    };
  };

  /** @param {Place} at */
  const update = (at) => {
    shown?.update(at);
    return shown !== null;
  };

  return { title: () => (name ? t(word, { name }) : t(`tabs.${tab}`)), show, update };
}

/**
 * The task's name, its state, and its tabs. Gives what ends it.
 * @param {HTMLElement} head
 * @param {Record<string, any>} task
 * @param {import('./task_tabs.js').Tab} current
 */
function partHead(head, task, current) {
  const badge = el('span', null, stateBadge(task.state));
  replace(head, el('div', { class: 'task-line' }, el('h1', { class: 'clip', title: task.name }, el('bdi', null, task.name)), badge), tabs(task, current));
  const update = (/** @type {any} */ event) => {
    if (event.detail?.id !== task.id) return;
    replace(badge, stateBadge(event.detail.state));
  };
  live.events.addEventListener('task', update);
  return () => live.events.removeEventListener('task', update);
}
