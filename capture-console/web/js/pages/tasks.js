// The table of tasks, live. A row is changed in place; rows come and go only while neither a pointer nor the focus is on
// the table, so that nothing moves under a hand.

import { el, replace, set, setText, svg } from '../dom.js';
import * as format from '../format.js';
import { may } from '../frame.js';
import { bind } from '../keys.js';
import * as live from '../live.js';
import { go, link, place, setQuery } from '../router.js';
import * as actions from '../task_actions.js';
import * as taskWords from '../task_words.js';
import { button, empty, icon, loading, menu, severityBadge, stateBadge, style } from '../ui.js';
import { t } from '../words.js';

/** @typedef {Record<string, any>} Task */
/** @typedef {{task: Task, row: HTMLTableRowElement, update: (task: Task) => void}} Row */

const STATES = ['running', 'pending', 'stopping', 'completed', 'failed'];

/** Rows that are added at a time, as one scrolls. */
const STEP = 100;

/** Beginnings for who has no task yet: names of words, and fields of the new task. */
const TEMPLATES = [
  { name: 'service', fields: { protocol: 'tcp', address_type: 'ip', port: 443, duration: 300, max_bytes: 256 } },
  { name: 'pair', fields: { address_type: 'ip_pair', duration: 600 } },
  { name: 'dns', fields: { protocol: 'udp', port: 53, duration: 120 } },
];

export const title = () => t('nav.tasks');

/** @param {HTMLElement} root */
export async function show(root) {
  await style('tasks');
  const { query } = place();
  const filter = { states: new Set((query.get('state') ?? '').split(',').filter(Boolean)), text: query.get('q') ?? '' };
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** @type {Set<string>} */
  const chosen = new Set();
  let limit = STEP;

  const search = el('input', { type: 'search', class: 'search', placeholder: t('tasks.search'), 'aria-label': t('tasks.search'), value: filter.text });
  const chips = STATES.map((state) => el('button', { type: 'button', class: 'chip', dataset: { state }, 'aria-pressed': String(filter.states.has(state)) }, el('span', null, t(`state.${state}`)), el('span', { class: 'number muted' })));
  const body = el('tbody');
  const all = el('input', { type: 'checkbox', 'aria-label': t('tasks.choose_all') });
  const canChoose = may('stop') || may('delete_own');
  const heads = [
    canChoose && el('th', { class: 'choose', scope: 'col' }, all),
    ...['state', 'name', 'filter', 'progress'].map((name) => el('th', { scope: 'col', class: `col-${name}` }, t(`tasks.${name}`))),
    ...['packets', 'size', 'rate', 'lost'].map((name) => el('th', { scope: 'col', class: `number col-${name}` }, t(`tasks.${name}`))),
    ...['findings', 'created', 'expires'].map((name) => el('th', { scope: 'col', class: `col-${name}` }, t(`tasks.${name}`))),
    el('th', { scope: 'col' }, el('span', { class: 'visually-hidden' }, t('tasks.actions'))),
  ];
  const table = el('table', { class: 'table tasks' }, el('thead', null, el('tr', null, heads)), body);
  const box = el('div', { class: 'table-box' }, table);
  const fresh = el('button', { type: 'button', class: 'button fresh', hidden: true });
  const bulk = el('div', { class: 'bulk row', hidden: true });
  const more = el('div', { class: 'more' });
  const place_ = el('div', { class: 'tasks-body' }, loading());
  const count = el('span', { class: 'muted', role: 'status' });
  replace(root,
    el('div', { class: 'page-head' },
      el('h1', null, t('nav.tasks')),
      may('create') && el('a', { class: 'button primary', href: '#/new', 'aria-keyshortcuts': 'n' }, icon('plus'), t('tasks.new'))),
    el('div', { class: 'row filters' }, el('div', { class: 'search-box' }, icon('search'), search), el('div', { class: 'row chips', role: 'group', 'aria-label': t('tasks.by_state') }, chips), el('span', { class: 'grow' }), count),
    el('div', { class: 'above' }, fresh),
    place_, bulk);

  /** Whether a hand is on the table. */
  const isHeld = () => table.matches(':hover') || (table.contains(document.activeElement) && document.activeElement !== document.body) || table.querySelector(':popover-open') !== null;

  const wanted = () => {
    const text = filter.text.trim().toLowerCase();
    return live.newestFirst().filter((task) => (filter.states.size === 0 || filter.states.has(task.state)) && (!text || matches(task, text)));
  };

  /** The rows as they should be. With `isForced` also while a hand is on the table. */
  const arrange = (isForced = false) => {
    if (!live.hasTasks()) return;
    const tasks = wanted();
    countStates(chips);
    setText(count, tasks.length === live.tasks.size ? t('tasks.count', { count: tasks.length }) : t('tasks.count_of', { count: tasks.length, all: format.number(live.tasks.size) }));
    if (live.tasks.size === 0) {
      replace(place_, nothingYet());
      rows.clear();
      replace(body);
      return;
    }
    const shown = tasks.slice(0, limit);
    const isSame = shown.length === rows.size && shown.every(({ id }) => rows.has(id));
    if (!isSame && isHeld() && !isForced && box.isConnected) {
      const added = shown.filter(({ id }) => !rows.has(id)).length;
      set(fresh, { hidden: added === 0 });
      setText(fresh, t('tasks.fresh', { count: added }));
      const keep = new Set(shown.map(({ id }) => id));
      for (const [id, { row, task, update }] of rows) {
        set(row, { 'data-gone': !live.tasks.has(id) });
        if (!keep.has(id) && live.tasks.has(id)) update(/** @type {Task} */ (live.tasks.get(id)) ?? task);
      }
      return;
    }
    set(fresh, { hidden: true });
    const keep = new Set(shown.map(({ id }) => id));
    for (const [id, { row }] of rows) {
      if (keep.has(id)) continue;
      row.remove();
      rows.delete(id);
      chosen.delete(id);
    }
    /** @type {Element | null} */
    let next = body.firstElementChild;
    for (const task of shown) {
      let found = rows.get(task.id);
      if (!found) {
        found = newRow(task, canChoose, chosen, updateBulk);
        rows.set(task.id, found);
      } else {
        found.update(task);
      }
      if (found.row === next) next = next.nextElementSibling;
      else body.insertBefore(found.row, next);
    }
    const nothing = tasks.length === 0;
    if (nothing) replace(place_, empty(t('tasks.none_match'), button('tasks.clear', clear)));
    else if (!box.isConnected) replace(place_, box, more);
    set(more, { hidden: tasks.length <= limit });
    updateBulk();
  };

  const clear = () => {
    filter.states.clear();
    filter.text = '';
    search.value = '';
    for (const chip of chips) set(chip, { 'aria-pressed': 'false' });
    setQuery({ state: null, q: null });
    arrange(true);
  };

  function updateBulk() {
    const tasks = [...chosen].map((id) => live.tasks.get(id)).filter((task) => task !== undefined);
    set(bulk, { hidden: tasks.length === 0 });
    all.checked = rows.size > 0 && tasks.length >= rows.size;
    all.indeterminate = tasks.length > 0 && !all.checked;
    const stoppable = tasks.filter(actions.canStop).length;
    const deletable = tasks.filter(actions.canDelete).length;
    replace(bulk,
      el('b', null, t('tasks.chosen', { count: tasks.length })),
      stoppable > 0 && el('button', { type: 'button', class: 'button', onclick: () => actions.stop(tasks) }, icon('stop'), t('tasks.stop_chosen', { count: stoppable })),
      deletable > 0 && el('button', { type: 'button', class: 'button danger', onclick: async () => { if (await actions.remove(tasks)) chosen.clear(); arrange(true); } }, icon('trash'), t('tasks.delete_chosen', { count: deletable })),
      button('tasks.choose_none', () => { chosen.clear(); for (const { row } of rows.values()) choose(row, false); updateBulk(); }, { kind: 'quiet' }));
  }

  all.addEventListener('change', () => {
    for (const [id, { row }] of rows) {
      if (all.checked) chosen.add(id);
      else chosen.delete(id);
      choose(row, all.checked);
    }
    updateBulk();
  });
  let typing = 0;
  search.addEventListener('input', () => {
    filter.text = search.value;
    clearTimeout(typing);
    typing = setTimeout(() => { setQuery({ q: filter.text }); limit = STEP; arrange(true); }, 80);
  });
  for (const chip of chips) {
    chip.addEventListener('click', () => {
      const state = /** @type {string} */ (chip.dataset.state);
      if (!filter.states.delete(state)) filter.states.add(state);
      set(chip, { 'aria-pressed': String(filter.states.has(state)) });
      setQuery({ state: [...filter.states].join(',') });
      limit = STEP;
      arrange(true);
    });
  }
  fresh.addEventListener('click', () => arrange(true));
  table.addEventListener('pointerleave', () => queueMicrotask(arrange));
  table.addEventListener('focusout', () => setTimeout(arrange));
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    limit += STEP;
    arrange(true);
  }, { rootMargin: '600px' });
  seen.observe(more);

  const focused = () => [...rows.values()].find(({ row }) => row.contains(document.activeElement));
  const move = (/** @type {number} */ by) => {
    const list = /** @type {HTMLElement[]} */ ([...body.children]);
    const at = focused() ? list.indexOf(/** @type {any} */ (focused()).row) : -1;
    const row = list[Math.max(0, Math.min(list.length - 1, at < 0 ? 0 : at + by))];
    /** @type {HTMLElement | null} */ (row?.querySelector('a.name'))?.focus();
    row?.scrollIntoView({ block: 'nearest' });
  };
  const onFocused = (/** @type {(task: Task) => void} */ run) => () => {
    const found = focused();
    if (found) run(found.task);
  };
  const unbind = bind({
    '/': ['keys.search', () => search.focus()],
    j: ['keys.down', () => move(1)],
    k: ['keys.up', () => move(-1)],
    Enter: ['keys.open', onFocused((task) => go(['tasks', task.id]))],
    p: ['keys.packets', onFocused((task) => { if (may('inspect')) go(['tasks', task.id, 'packets']); })],
    x: ['keys.choose', onFocused((task) => { /** @type {HTMLInputElement | null} */ (rows.get(task.id)?.row.querySelector('.choose input'))?.click(); })],
    s: ['keys.stop', onFocused((task) => { actions.stop([task]); })],
    d: ['keys.download', onFocused(actions.download)],
    Delete: ['keys.delete', onFocused((task) => { actions.remove([task]); })],
    Escape: ['keys.leave', () => /** @type {HTMLElement | null} */ (document.activeElement)?.blur()],
  });

  // Many events may come at once: rows are arranged once for all of them.
  let isAsked = false;
  const soon = () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => { isAsked = false; arrange(); });
  };
  const onTask = (/** @type {any} */ event) => {
    rows.get(event.detail.id)?.update(event.detail);
    soon();
  };
  const onStats = () => {
    for (const row of rows.values()) {
      const task = live.tasks.get(row.task.id);
      if (task && live.isRunning(task)) row.update(task);
    }
  };
  const listeners = /** @type {[string, (event: any) => void][]} */ ([['task', onTask], ['deleted', soon], ['tasks', soon], ['stats', onStats]]);
  for (const [name, listen] of listeners) live.events.addEventListener(name, listen);
  const clock = setInterval(() => { for (const { task, update } of rows.values()) update(live.tasks.get(task.id) ?? task); }, 15_000);
  arrange(true);
  return () => {
    unbind();
    seen.disconnect();
    clearInterval(clock);
    for (const [name, listen] of listeners) live.events.removeEventListener(name, listen);
  };
}

/**
 * @param {Task} task
 * @param {string} text lower case
 */
function matches(task, text) {
  const { name, id, spec, created_by: by, account } = task;
  return [name, id, taskWords.filterWords(spec), (spec.interfaces ?? []).join(' '), by, account].some((part) => part && String(part).toLowerCase().includes(text));
}

/** @param {HTMLElement[]} chips */
function countStates(chips) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const { state } of live.tasks.values()) counts[state] = (counts[state] ?? 0) + 1;
  for (const chip of chips) {
    const count = counts[/** @type {string} */ (chip.dataset.state)] ?? 0;
    setText(/** @type {Element} */ (chip.lastElementChild), count ? format.number(count) : '');
  }
}

/** @param {Element} row @param {boolean} isChosen */
function choose(row, isChosen) {
  const input = row.querySelector('.choose input');
  if (input) set(input, { checked: isChosen });
  set(row, { 'aria-selected': isChosen ? 'true' : null });
}

/**
 * @param {Task} task
 * @param {boolean} canChoose
 * @param {Set<string>} chosen
 * @param {() => void} onChosen
 * @returns {Row}
 */
function newRow(task, canChoose, chosen, onChosen) {
  const cells = Object.fromEntries(['state', 'name', 'filter', 'progress', 'packets', 'size', 'rate', 'lost', 'findings', 'created', 'expires'].map((name) =>
    [name, el('td', { class: `col-${name}${['packets', 'size', 'rate', 'lost'].includes(name) ? ' number' : ''}`, dataset: { label: t(`tasks.${name}`) } })]));
  const name = el('a', { class: 'name', href: link(['tasks', task.id]) }, el('bdi'));
  const interfaces = el('div', { class: 'muted interfaces' });
  cells.name.append(name, interfaces);
  const rateText = el('span');
  const sparkline = spark();
  cells.rate.append(rateText, sparkline.element);
  const bar = el('span', { class: 'meter', 'aria-hidden': 'true' }, el('span'));
  const barText = el('span', { class: 'progress-text' });
  cells.progress.append(barText, bar);
  const isChosen = canChoose && el('input', { type: 'checkbox', 'aria-label': t('tasks.choose', { name: task.name }) });
  const row = el('tr', { dataset: { id: task.id } }, canChoose && el('td', { class: 'choose' }, isChosen), Object.values(cells),
    el('td', { class: 'actions' }, menu(icon('more'), () => actions.items(entry.task), { 'aria-label': t('tasks.actions_of', { name: task.name }), class: 'button quiet icon-only' })));
  if (isChosen) {
    isChosen.addEventListener('change', () => {
      if (isChosen.checked) chosen.add(task.id);
      else chosen.delete(task.id);
      set(row, { 'aria-selected': isChosen.checked ? 'true' : null });
      onChosen();
    });
  }
  row.addEventListener('dblclick', () => go(['tasks', task.id]));
  let drawn = '';
  /** @type {Row} */
  const entry = { task, row, update };
  update(task);
  return entry;

  /** @param {Task} now */
  function update(now) {
    entry.task = now;
    const { counters } = now;
    // What seldom changes is made anew only then.
    const key = JSON.stringify([now.state, now.stop_reason, now.error, now.findings, now.files.length]);
    if (key !== drawn) {
      drawn = key;
      replace(cells.state, stateBadge(now.state));
      setText(/** @type {Element} */ (name.firstElementChild), now.name);
      setText(interfaces, now.spec.interfaces?.includes('any') ? t('task.all_interfaces') : (now.spec.interfaces ?? []).join(', '));
      const words = taskWords.filterWords(now.spec);
      replace(cells.filter, el('bdi', { title: words }, words));
      replace(cells.findings, findings(now));
    }
    const running = live.isRunning(now);
    const done = running ? taskWords.progress(now) : null;
    setText(barText, running ? [taskWords.progressWords(now), done?.left !== null && done !== null && done.limit !== 'duration' ? t('progress.left', { time: format.duration(Math.round(done.left)) }) : ''].filter(Boolean).join(' · ')
      : now.state === 'pending' && now.start_at ? t('progress.starts', { when: format.relative(now.start_at) }) : taskWords.endWords(now));
    set(bar, { hidden: !done });
    set(bar.firstElementChild, { style: { width: `${Math.round((done?.used ?? 0) * 100)}%` } });
    setText(cells.packets, format.number(counters.captured));
    setText(cells.size, format.bytes(counters.bytes));
    const { packets } = taskWords.rate(now);
    setText(rateText, running ? format.packetRate(packets) : '');
    sparkline.draw(running ? live.rates.get(now.id) ?? [] : []);
    const lost = taskWords.lost(now);
    setText(cells.lost, format.number(lost.count));
    set(cells.lost, { class: `number col-lost ${lost.count > 0 ? 'is-lost' : 'muted'}`, title: lost.causes || null });
    const at = now.created_at;
    setText(cells.created, now.created_by ? t('tasks.by_when', { who: now.created_by, when: format.relative(at) }) : format.relative(at));
    set(cells.created, { title: format.dateTime(at) });
    setText(cells.expires, now.expires_at ? (actions.isExpired(now) ? t('tasks.expired') : format.relative(now.expires_at)) : '–');
    set(cells.expires, { title: now.expires_at ? format.dateTime(now.expires_at) : null });
  }
}

/** @param {Task} task */
function findings(task) {
  const found = task.findings;
  if (!found) return el('span', { class: 'muted' }, '–');
  const badges = ['high', 'warn', 'info'].filter((severity) => found[severity] > 0).map((severity) => severityBadge(severity, found[severity]));
  if (badges.length === 0) return el('span', { class: 'muted' }, t('tasks.no_findings'));
  return may('inspect') ? el('a', { class: 'row plain', href: link(['tasks', task.id, 'findings']) }, badges) : el('span', { class: 'row' }, badges);
}

/** Packets a second over the last minute, as a small line. */
function spark() {
  const line = svg('path');
  const element = svg('svg', { class: 'spark', viewBox: '0 0 60 16', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, line);
  return {
    element,
    /** @param {{at: number, counters: any}[]} points */
    draw(points) {
      element.toggleAttribute('hidden', points.length < 3);
      if (points.length < 3) return;
      const rates = points.slice(1).map((point, at) => Math.max(0, point.counters.captured - points[at].counters.captured) / Math.max(0.001, (point.at - points[at].at) / 1000));
      const most = Math.max(1, ...rates);
      const begin = 60 - rates.length;
      line.setAttribute('d', rates.map((rate, at) => `${at === 0 ? 'M' : 'L'}${begin + at} ${(15 - (rate / most) * 14).toFixed(1)}`).join(''));
    },
  };
}

/** What stands where no task is yet: what one is, and beginnings. */
function nothingYet() {
  const cards = TEMPLATES.map(({ name, fields }) => el('a', { class: 'card template', href: link(['new'], fields) }, el('h3', null, t(`template.${name}.title`)), el('p', { class: 'muted' }, t(`template.${name}.text`))));
  return empty(t('tasks.nothing'), el('p', { class: 'teach' }, t('tasks.teach')), may('create') && el('div', { class: 'templates' }, cards));
}
