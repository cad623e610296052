// Two captures compared: what is new in one, what is gone, and which figures have changed.

import { isAborted, post, taskById } from '../api.js';
import { el, replace } from '../dom.js';
import { findingCard, subjectText } from '../findings.js';
import * as format from '../format.js';
import * as live from '../live.js';
import { link, setQuery } from '../router.js';
import { isExpired } from '../task_actions.js';
import { button, empty, errorText, foreign, icon, loading, notice, style } from '../ui.js';
import { t } from '../words.js';

const MOST_CHOICES = 200;
const MOST_NAME = 128;

export const title = () => t('compare.title');

/**
 * @param {HTMLElement} root
 * @param {import('../router.js').Place} place
 */
export async function show(root, { query }) {
  await Promise.all([style('task'), style('form')]);
  // Left meanwhile: the choice would be written into the address of the next page.
  if (!root.isConnected) return undefined;
  let [task, baseline] = [query.get('task') ?? '', query.get('baseline') ?? ''];
  /** @type {AbortController | null} */
  let running = null;
  const result = el('div', { class: 'stack', 'aria-live': 'polite' });
  const choose = (/** @type {string} */ id, /** @type {string} */ label, /** @type {string} */ first, /** @type {(id: string) => void} */ take) => {
    const select = el('select', { id, onchange: () => { take(select.value); compare(); } });
    const fill = (/** @type {string} */ chosen) => {
      const all = live.newestFirst().filter((one) => (one.files.length > 0 && canBeCompared(one)) || one.id === chosen).slice(0, MOST_CHOICES);
      replace(select, el('option', { value: '' }, t('compare.choose')), all.map((one) => el('option', { value: one.id, selected: one.id === chosen }, `${one.name.slice(0, MOST_NAME)} · ${format.dateTime(one.created_at)}`)),
        chosen && !all.some((one) => one.id === chosen) && el('option', { value: chosen }, chosen.slice(0, MOST_NAME)));
      select.value = chosen;
    };
    fill(first);
    return { box: el('div', { class: 'field grow' }, el('label', { for: id }, label), select), select, fill };
  };
  const ofTask = choose('compare-task', t('compare.task'), task, (id) => { task = id; });
  const ofBaseline = choose('compare-baseline', t('compare.baseline'), baseline, (id) => { baseline = id; });
  const swap = () => {
    [task, baseline] = [baseline, task];
    ofTask.select.value = task;
    ofBaseline.select.value = baseline;
    compare();
  };
  replace(root, el('div', { class: 'page-head' }, el('h1', null, t('compare.title'))),
    el('div', { class: 'card compare-choice' }, ofTask.box, button('compare.swap', swap, { icon: 'compare', iconOnly: true }), ofBaseline.box), result);

  async function compare() {
    setQuery({ task, baseline });
    running?.abort();
    if (!task || !baseline || task === baseline) {
      replace(result, empty(t(task && task === baseline ? 'compare.same' : 'compare.choose_two')));
      return;
    }
    const known = [task, baseline].map((id) => live.tasks.get(id));
    if (known.some((one) => one && !canBeCompared(one))) {
      replace(result, empty(t('compare.not_ready'), el('p', null, t('compare.not_ready_why'))));
      return;
    }
    const mine = new AbortController();
    running = mine;
    replace(result, loading());
    try {
      const [one, other] = await Promise.all([record(task), record(baseline)]);
      if (running !== mine) return;
      if (!one || !other) {
        replace(result, empty(t('task.gone'), el('p', null, t('task.gone_why'))));
        return;
      }
      const report = await post('compare', { task, baseline }, undefined, mine.signal);
      if (running === mine) replace(result, comparison(report, one, other));
    } catch (error) {
      if (running === mine && !isAborted(error)) replace(result, notice('high', errorText(error)));
    }
  }

  // Once all tasks are known they can be chosen; later ones would move the list under who reads it.
  let isFilled = live.hasTasks();
  const relisted = () => {
    if (isFilled || !live.hasTasks()) return;
    isFilled = true;
    ofTask.fill(task);
    ofBaseline.fill(baseline);
  };
  live.events.addEventListener('tasks', relisted);
  compare();
  return () => {
    running?.abort();
    live.events.removeEventListener('tasks', relisted);
  };
}

/** Whether it has ended, and its files are there. @param {import('../live.js').Task} task */
const canBeCompared = (task) => (task.state === 'completed' || task.state === 'failed') && !isExpired(task);

/** @param {string} id */
const record = async (id) => live.tasks.get(id) ?? taskById(id);

/**
 * @param {any} report
 * @param {import('../live.js').Task} task
 * @param {import('../live.js').Task} other
 */
function comparison(report, task, other) {
  const { baseline, new: fresh = [], gone = [], changed = [] } = report.comparison ?? {};
  const list = (/** @type {import('../live.js').Task} */ of, /** @type {any[]} */ findings) => el('ul', { class: 'findings' }, findings.map((finding) => findingCard(of, finding)));
  const isSame = fresh.length + gone.length + changed.length === 0;
  return [
    isSame ? notice('good', el('b', null, t('compare.equal'))) : notice(fresh.length > 0 ? 'warn' : 'info', el('b', null, t('compare.differs', { fresh: fresh.length, gone: gone.length, changed: changed.length }))),
    el('div', { class: 'table-box' }, el('table', { class: 'table' },
      el('thead', null, el('tr', null, el('td', null), ['packets', 'bytes', 'duration', 'lost'].map((name) => el('th', { scope: 'col', class: 'number' }, t(`compare.${name}`))))),
      el('tbody', null, side(t('compare.task'), task, report), baseline && side(t('compare.baseline'), other, baseline)))),
    changed.length > 0 && el('section', { class: 'stack' }, el('h2', null, t('compare.changed')),
      el('div', { class: 'table-box' }, el('table', { class: 'table' }, el('tbody', null, changed.map(change))))),
    fresh.length > 0 && el('section', { class: 'stack' }, el('h2', null, t('compare.new')), list(task, fresh)),
    gone.length > 0 && el('section', { class: 'stack' }, el('h2', null, t('compare.gone')), list(other, gone)),
  ];
}

/** @param {string} name @param {import('../live.js').Task} task @param {any} report */
function side(name, task, { packets, bytes, duration, complete }) {
  return el('tr', null, el('th', { scope: 'row' }, name, ': ', el('a', { href: link(['tasks', task.id]) }, foreign(task.name))),
    el('td', { class: 'number' }, format.number(packets)), el('td', { class: 'number' }, format.bytes(bytes)), el('td', { class: 'number' }, format.duration(duration)),
    el('td', { class: 'number' }, complete === null || complete === undefined ? '–' : t(complete ? 'compare.complete' : 'compare.incomplete')));
}

/** A figure that has changed. @param {any} one */
function change({ figure, subject, before, after, summary }) {
  const text = (/** @type {number} */ value) => (figure === 'loss' ? format.percent(value) : figure === 'severity' ? format.number(value) : format.duration(value / 1e6));
  const isMore = after > before;
  return el('tr', null,
    el('td', { class: 'change' }, foreign(summary), el('div', { class: 'help mono' }, foreign(subjectText(subject)))),
    el('td', { class: 'number' }, text(before)), el('td', { class: isMore ? 'worse' : 'better-figure' }, icon(isMore ? 'up' : 'down')), el('td', { class: 'number' }, el('b', null, text(after))));
}
