// The tabs of a task: its parts as pages of their own. What one may not see is not offered.

import { el } from './dom.js';
import { may } from './frame.js';
import { link } from './router.js';
import { t } from './words.js';

/** @typedef {'overview' | 'findings' | 'packets' | 'conversations'} Tab */

/** @type {{name: Tab, right: string}[]} */
const TABS = [
  { name: 'overview', right: 'view' },
  { name: 'findings', right: 'inspect' },
  { name: 'packets', right: 'inspect' },
  { name: 'conversations', right: 'inspect' },
];

/**
 * The tabs as links.
 * @param {Record<string, any>} task
 * @param {Tab} current
 * @returns {HTMLElement}
 */
export function tabs(task, current) {
  const all = el('nav', { class: 'tabs', 'aria-label': t('tabs.label') }, TABS.filter(({ right }) => may(right)).map(({ name }) =>
    el('a', { href: link(name === 'overview' ? ['tasks', task.id] : ['tasks', task.id, name]), 'aria-current': name === current ? 'page' : null },
      t(`tabs.${name}`))));
  // On a narrow screen the current one may be beyond the edge.
  requestAnimationFrame(() => {
    const marked = all.querySelector('[aria-current]');
    if (marked) all.scrollLeft = marked.offsetLeft - (all.clientWidth - marked.offsetWidth) / 2;
  });
  return all;
}
