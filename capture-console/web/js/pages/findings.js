// What is wrong in a task's packets, as it is found: what the capture itself lost, the verdict, and each finding with the
// packets that show it. Nothing moves while a pointer or the focus is on the list.

import { REPORTED, address, get } from '../api.js';
import { el, replace, set } from '../dom.js';
import { SEVERITIES, counts, findingCard } from '../findings.js';
import * as format from '../format.js';
import { may } from '../frame.js';
import * as live from '../live.js';
import { link, setQuery } from '../router.js';
import { find, taskHead } from '../task_head.js';
import { lostPackets } from '../task_words.js';
import { empty, errorText, foreign, icon, loading, menu, notice, severityBadge, style } from '../ui.js';
import { t } from '../words.js';

const AGAIN_MS = 1500;
/** A live report is a second old at most; so often it is asked for. */
const LIVE_MS = 5000;
const MOST_BASELINES = 30;

/** @param {import('../router.js').Place} place */
export const title = ({ path }) => `${t('tabs.findings')} · ${live.tasks.get(path[1])?.name ?? ''}`;

/**
 * @param {HTMLElement} root
 * @param {import('../router.js').Place} place
 */
export async function show(root, { path, query }) {
  const [found] = await Promise.all([find(path[1], root), style('task'), style('form')]);
  if (!found) return undefined;
  let task = live.latest(found);
  const head = taskHead(task, 'findings');
  const body = el('div', { class: 'stack' }, loading());
  const more = el('button', { type: 'button', class: 'button more-findings', hidden: true, onclick: () => load(true) });
  let severity = query.get('severity') ?? '';
  let timer = 0;
  let isHere = true;
  let shown = '';
  let waiting = 0;
  replace(root, head.element, more, body);
  if (!may('inspect')) {
    replace(body, empty(t('findings.not_allowed')));
    return head.end;
  }

  const isWatched = () => body.matches(':hover') || body.contains(document.activeElement);
  const later = (/** @type {number} */ milliseconds) => {
    clearTimeout(timer);
    timer = setTimeout(load, milliseconds);
  };

  /** @param {boolean} [now] also where somebody looks at the list */
  async function load(now = false) {
    clearTimeout(timer);
    try {
      const report = await get(`tasks/${task.id}/findings`, REPORTED);
      if (!isHere) return;
      if (report.absent) return none(report.errors[0]);
      const text = JSON.stringify([report.findings, report.state, report.skipped, lostPackets(task.counters), severity]);
      if (text !== shown && shown && isWatched() && !now) {
        waiting = Math.max(1, waiting);
        set(more, { hidden: false });
        replace(more, icon('down'), t('findings.new', { count: waiting }));
      } else if (text !== shown) {
        shown = text;
        waiting = 0;
        set(more, { hidden: true });
        replace(body, page(report));
      }
      if (report.state === 'live') later(LIVE_MS);
    } catch (error) {
      if (!isHere) return;
      shown = '';
      replace(body, notice('high', errorText(error)));
    }
  }

  /** There is no report, or not yet. @param {import('../api.js').Fault} why */
  function none({ code, detail }) {
    shown = '';
    if (code === 'analysis_waiting') {
      replace(body, el('div', { class: 'card' }, loading(), el('p', { class: 'muted centred' }, t('findings.waiting'))));
      later(AGAIN_MS);
    } else if (code === 'not_analyzed' && live.isRunning(task)) {
      replace(body, empty(t('findings.none_yet'), el('p', null, t('findings.none_yet_why'))));
      later(LIVE_MS);
    } else if (code === 'not_analyzed') replace(body, empty(t('findings.not_analyzed'), el('p', null, detail)));
    else replace(body, notice('high', detail));
  }

  /** @param {any} report */
  function page(report) {
    const all = report.findings;
    const of = counts(all);
    const isOver = task.state === 'completed' || task.state === 'failed';
    const list = el('ul', { class: 'findings' });
    const fill = () => replace(list, all.filter((/** @type {any} */ finding) => !severity || finding.severity === severity).map((/** @type {any} */ finding) => findingCard(task, finding)));
    const chips = ['', ...SEVERITIES].map((name) => el('button', { type: 'button', class: 'chip', 'aria-pressed': String(severity === name), disabled: name !== '' && of[name] === 0, onclick: () => {
      severity = name;
      setQuery({ severity });
      chips.forEach((chip, index) => set(chip, { 'aria-pressed': String(['', ...SEVERITIES][index] === name) }));
      fill();
    } }, name ? severityBadge(name, format.number(of[name])) : t('findings.every', { count: all.length }), name && t(`severity.${name}`)));
    fill();
    return [
      losses(report),
      el('div', { class: 'verdict' }, verdict(report, of),
        el('div', { class: 'row' },
          isOver && may('download') && el('a', { class: 'button', href: address(`tasks/${task.id}/report.html`), download: '' }, icon('download'), t('findings.report')),
          isOver && menu([icon('compare'), t('findings.compare'), icon('down')], baselines, { class: 'button' }))),
      all.length > 0 && el('div', { class: 'row', role: 'group', 'aria-label': t('findings.by_severity') }, chips),
      all.length === 0 ? empty(t('findings.none'), el('p', null, t('findings.none_why', { count: report.packets }))) : list,
      report.shortened && el('p', { class: 'help' }, t('findings.shortened')),
    ];
  }

  /** What the capture and the analysis did not see: it limits all that follows. @param {any} report */
  function losses(report) {
    const gone = lostPackets(task.counters);
    const skipped = (report.skipped ?? []).reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.packets, 0);
    return [
      gone > 0 && notice('high', el('b', null, t('findings.capture_lost', { count: gone, all: format.number(task.counters.matched) })), ' ', t('findings.capture_lost_means')),
      skipped > 0 && notice('warn', t('findings.skipped', { count: skipped })),
    ];
  }

  /** @param {any} report @param {Record<string, number>} of */
  function verdict(report, of) {
    const worst = SEVERITIES.find((name) => of[name] > 0);
    const text = worst === 'high' ? t('findings.verdict.high', { count: of.high }) : worst === 'warn' ? t('findings.verdict.warn', { count: of.warn }) : t('findings.verdict.good');
    return el('div', { class: 'grow' }, el('h2', null, text),
      el('p', { class: 'muted' }, t('findings.looked_at', { count: report.packets, size: format.bytes(report.bytes), time: format.duration(report.duration ?? 0) }), report.state === 'live' && [' ', t('findings.live')]));
  }

  function baselines() {
    const others = live.newestFirst().filter((other) => other.id !== task.id && other.files.length > 0 && (other.state === 'completed' || other.state === 'failed')).slice(0, MOST_BASELINES);
    if (others.length === 0) return [{ label: t('compare.no_other'), href: link(['compare'], { task: task.id }) }];
    return others.map((other) => ({ label: el('span', { class: 'menu-who' }, foreign(other.name), el('small', null, format.dateTime(other.created_at))), href: link(['compare'], { task: task.id, baseline: other.id }) }));
  }

  const changed = (/** @type {any} */ { detail }) => {
    if (detail.id !== task.id) return;
    const before = task.state;
    task = detail;
    head.update(task);
    if (before !== task.state) later(AGAIN_MS / 3);
  };
  const finding = (/** @type {any} */ { detail }) => {
    if (detail.task !== task.id) return;
    waiting += 1;
    later(700);
  };
  const relisted = () => {
    const now = live.tasks.get(task.id);
    if (now) changed({ detail: now });
  };
  const listeners = /** @type {[string, (event: any) => void][]} */ ([['task', changed], ['finding', finding], ['tasks', relisted]]);
  for (const [name, listener] of listeners) live.events.addEventListener(name, listener);
  load();
  return () => {
    isHere = false;
    clearTimeout(timer);
    head.end();
    for (const [name, listener] of listeners) live.events.removeEventListener(name, listener);
  };
}
