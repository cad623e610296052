// A task: what became of it in one sentence, its rate over time, where each packet went, what was asked, what happened,
// and its files with the lines that fetch and read them.

import { get, named, taskById } from '../api.js';
import { chart } from '../chart.js';
import { el, replace, set, setText } from '../dom.js';
import { evidence, findingsOf } from '../findings.js';
import * as format from '../format.js';
import { may, session } from '../frame.js';
import * as live from '../live.js';
import { outcome } from '../outcome.js';
import { go, link } from '../router.js';
import { FIELDS, secondsOf, valuesOf } from '../spec.js';
import { fileUrl, isExpired } from '../task_actions.js';
import { find, hasFiles, taskHead } from '../task_head.js';
import { filterWords, limitWords, limits, lostPackets } from '../task_words.js';
import { copy, copyLine, foreign, icon, notice, severityBadge, style } from '../ui.js';
import { has, t } from '../words.js';

/** @typedef {import('../live.js').Task} Task */

const MOST_BUCKETS = 300;
const MOST_POINTS = 600;
const MOST_FINDINGS = 3;
const MOST_HISTORY = 300;
/** From the first word of a finding until the report has it. */
const FINDINGS_MS = 2500;
/** When a task that has ended is looked at again, as it is analyzed then. */
const LATER_MS = [1500, 4000, 12_000];
/** Fields that are numbers for people. */
const NUMBERS = ['max_bytes', 'max_packets', 'max_file_bytes', 'rotate_bytes', 'rotate_files'];
/** Where a packet may go, in the order of its way: what is wanted, what was left out on request, and what was lost. */
const ACCOUNTS = [
  { name: 'captured', kind: 'good' },
  { name: 'oversize_discarded', kind: 'left' },
  { name: 'over_limit', kind: 'left' },
  { name: 'ring', kind: 'lost' },
  { name: 'queue', kind: 'lost' },
  { name: 'write', kind: 'lost' },
  { name: 'copy', kind: 'lost' },
];

/** @param {import('../router.js').Place} place */
export const title = ({ path }) => live.tasks.get(path[1])?.name ?? t('task.title');

/**
 * @param {HTMLElement} root
 * @param {import('../router.js').Place} place
 */
export async function show(root, { path }) {
  const [task] = await Promise.all([find(path[1], root), style('task'), style('form')]);
  if (!task) return undefined;
  document.title = `${task.name} · capture-agent`;
  return build(root, live.latest(task));
}

/**
 * Makes a part of the page that is built anew only where what it shows has changed.
 * @param {string} kind class
 * @param {string} [heading] key of its text
 */
function part(kind, heading) {
  const content = el('div', { class: 'stack' });
  const element = el('section', { class: kind }, heading && el('h2', null, t(heading)), content);
  let shown = '';
  return {
    element,
    /** @param {unknown} key what it depends on @param {() => any} make */
    update: (key, make) => {
      const text = JSON.stringify(key);
      if (text === shown) return;
      shown = text;
      replace(content, make());
    },
  };
}

/**
 * @param {HTMLElement} root
 * @param {Task} first
 */
function build(root, first) {
  let task = first;
  const { id } = first;
  let isHere = true;
  const head = taskHead(task, 'overview', () => setTimeout(loadHistory, 1500));
  const said = part('task-said');
  const progress = el('div', { class: 'progress', hidden: true });
  const rates = chart(may('inspect') ? { onSelect: (from, until) => packetsOf(from, until) } : {});
  const found = part('card', 'task.findings');
  const accounts = makeAccounts();
  const files = part('card', 'task.files');
  const asked = part('card', 'task.asked');
  const history = part('card', 'task.history');
  const lines = part('card', 'task.lines');
  found.element.hidden = true;
  const rateCard = el('section', { class: 'card', 'aria-label': t('task.rates') }, rates.element);
  const accountCard = el('section', { class: 'card' }, el('h2', null, t('task.accounts')), accounts.element);

  replace(root, head.element, said.element, progress, el('div', { class: 'task-grid' },
    el('div', { class: 'stack' },
      rateCard, accountCard,
      found.element, files.element),
    el('div', { class: 'stack' }, asked.element, history.element, lines.element)));

  /** Time of a choice in the chart becomes a filter of packets. @param {number} from @param {number} until */
  function packetsOf(from, until) {
    const at = (/** @type {number} */ time) => (time / 1000).toFixed(3);
    go(['tasks', id, 'packets'], { filter: `frame.time_epoch >= ${at(from)} && frame.time_epoch < ${at(until)}` });
  }

  /** What was before the page was opened, from the packets. @type {import('../chart.js').Point[]} */
  let past = [];
  /** What came since, from the figures. @type {import('../chart.js').Point[]} */
  let since = [];
  /** @type {import('../chart.js').Mark[]} */
  let marks = [];
  /** @type {{at: number, counters: any} | null} */
  let last = null;

  function draw() {
    const begin = since[0]?.at ?? Infinity;
    rates.update([...past.filter(({ at, seconds }) => at + seconds * 500 < begin), ...since], marks);
  }

  /** Takes the figures of a second. @param {{at: number, counters: any}} now */
  function take(now) {
    if (last && now.at > last.at) {
      const more = (/** @type {(counters: any) => number} */ of) => Math.max(0, of(now.counters) - of(/** @type {any} */ (last).counters));
      since.push({ at: last.at, seconds: (now.at - last.at) / 1000, packets: more((counters) => counters.captured), bytes: more((counters) => counters.bytes), drops: more(lostPackets) });
      if (since.length > MOST_POINTS) since = halved(since);
    }
    last = now;
  }

  async function loadSeries() {
    if (!may('inspect') || task.state === 'pending' || task.counters.captured === 0 || isExpired(task)) return;
    // A second each, as long as there are not too many of them.
    const until = task.ended_at ? new Date(task.ended_at).getTime() : Date.now();
    const seconds = Math.ceil((until - new Date(task.started_at ?? until).getTime()) / 1000);
    const series = await get(`tasks/${id}/series`, { buckets: Math.max(1, Math.min(MOST_BUCKETS, seconds)) }).catch(() => null);
    if (!isHere || !series?.start) return;
    const start = new Date(series.start).getTime();
    past = series.packets.map((/** @type {number} */ packets, /** @type {number} */ index) => ({ at: start + index * series.bucket_seconds * 1000, seconds: series.bucket_seconds, packets, bytes: series.bytes[index] }));
    // The packets have the exact figures, and not what was lost: those seconds stay as they were seen.
    if (isOver(task) && series.complete && !since.some(({ drops }) => drops)) since = [];
    draw();
    if (!series.complete) setTimeout(() => isHere && loadSeries(), 1000);
  }

  async function loadHistory() {
    if (!isHere) return;
    if (!may('inspect')) {
      history.update([task.started_at, task.ended_at], () => historyList(task, []));
      return;
    }
    const answer = await get(`tasks/${id}/history`, { limit: MOST_HISTORY }).catch(() => null);
    if (!isHere) return;
    history.update([task.started_at, task.ended_at, answer?.lines], () => [
      historyList(task, answer?.lines ?? []),
      answer?.next_cursor && el('p', { class: 'help' }, may('administer') ? el('a', { href: link(['audit'], { object: id }) }, t('history.more')) : t('history.more'))]);
  }

  async function loadFindings() {
    // Of a task that is not analyzed there is nothing to ask for; a running one tells of its first finding.
    if (!may('inspect') || !task.findings || task.counters.captured === 0) return;
    const report = await findingsOf(id);
    if (!isHere || !report) return;
    found.element.hidden = false;
    found.update(report.findings, () => topFindings(task, report.findings));
    marks = report.findings.filter((/** @type {any} */ finding) => finding.since).map((/** @type {any} */ finding) => ({ at: new Date(finding.since).getTime(), severity: finding.severity, text: finding.summary, href: evidence(task, finding) ?? link(['tasks', id, 'findings']) }));
    draw();
  }

  function update() {
    head.update(task);
    const { kind, text, more, better } = outcome(task);
    said.update([kind, text, more], () => notice(kind, el('b', null, text), more && el('div', null, foreign(more)),
      better && may('create') && el('div', { class: 'better' }, el('a', { class: 'button', href: better.href }, icon('again'), better.label))));
    showProgress();
    accounts.update(task);
    for (const card of [rateCard, accountCard]) set(card, { hidden: task.state === 'pending' || (isOver(task) && task.counters.matched === 0) });
    // Only who may look at the packets has what was before the page was opened.
    if (isOver(task) && !may('inspect') && since.length === 0) set(rateCard, { hidden: true });
    files.update([task.files, task.state], () => fileList(task, () => setTimeout(loadHistory, 1500)));
    files.element.hidden = !hasFiles(task) && task.files.length === 0;
    asked.update(task.spec, () => request(task));
    lines.update([task.files, task.state], () => linesToCopy(task));
    lines.element.hidden = !hasFiles(task);
  }

  function showProgress() {
    const isRunning = live.isRunning(task);
    set(progress, { hidden: !isRunning });
    if (!isRunning) return;
    const [next, ...others] = limits(task);
    if (!next) return replace(progress, el('span', { class: 'muted' }, t('task.no_limit')));
    const nameAndWords = (/** @type {import('../task_words.js').Limit} */ limit) => `${fieldName(limit.limit)}: ${limitWords(limit)}`;
    replace(progress,
      el('div', { class: 'row spread' }, el('b', null, nameAndWords(next)),
        el('span', { class: 'muted' }, next.left === null ? '' : t('progress.left', { time: format.duration(Math.ceil(next.left)) }))),
      el('div', { class: 'meter', role: 'progressbar', 'aria-label': t('task.progress'), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.floor(next.used * 100) }, el('span', { style: { width: `${next.used * 100}%` } })),
      others.length > 0 && el('div', { class: 'help' }, others.map(nameAndWords).join(' · ')));
    return undefined;
  }

  const changed = (/** @type {any} */ { detail }) => {
    if (detail.id !== id) return;
    const before = task;
    task = detail;
    if (!task.name) return;
    update();
    if (JSON.stringify(before.findings) !== JSON.stringify(task.findings)) loadFindings();
    if (before.state === task.state) return;
    loadHistory();
    loadSeries();
    // Its last findings come a little later than its end.
    if (isOver(task)) for (const milliseconds of LATER_MS) setTimeout(look, milliseconds);
  };
  const look = async () => {
    const now = isHere && await taskById(id).catch(() => null);
    if (now && isHere) changed({ detail: now });
  };
  const figures = (/** @type {any} */ { detail }) => {
    const mine = detail.find((/** @type {any} */ one) => one.id === id);
    if (!mine) return;
    task = { ...task, counters: mine.counters };
    take({ at: Date.now(), counters: mine.counters });
    draw();
    update();
  };
  const deleted = (/** @type {any} */ { detail }) => {
    if (detail === id) go(['tasks']);
  };
  const relisted = () => {
    const now = live.tasks.get(id);
    if (now) changed({ detail: now });
  };
  const finding = (/** @type {any} */ { detail }) => {
    if (detail.task !== id) return;
    clearTimeout(timer);
    task = { ...task, findings: task.findings ?? {} };
    timer = setTimeout(loadFindings, FINDINGS_MS);
  };
  let timer = 0;
  const ticking = setInterval(showProgress, 1000);
  const listeners = /** @type {[string, (event: any) => void][]} */ ([['task', changed], ['stats', figures], ['deleted', deleted], ['tasks', relisted], ['finding', finding]]);
  for (const [name, listener] of listeners) live.events.addEventListener(name, listener);

  for (const point of live.rates.get(id) ?? []) take(point);
  draw();
  update();
  loadSeries();
  loadHistory();
  loadFindings();
  return () => {
    isHere = false;
    clearInterval(ticking);
    clearTimeout(timer);
    head.end();
    for (const [name, listener] of listeners) live.events.removeEventListener(name, listener);
  };
}

/** @param {Task} task */
const isOver = ({ state }) => state === 'completed' || state === 'failed';

/** Joins neighbours, so that there are half as many. @param {import('../chart.js').Point[]} points */
function halved(points) {
  return points.flatMap((point, index) => {
    const next = points[index + 1];
    if (index % 2 === 1) return [];
    return [next ? { at: point.at, seconds: point.seconds + next.seconds, packets: point.packets + next.packets, bytes: point.bytes + next.bytes, drops: (point.drops ?? 0) + (next.drops ?? 0) } : point];
  });
}

/** The label of a field without its unit. @param {string} name */
const fieldName = (name) => t(`new.${name}`).replace(/ ?[(（]\p{L}+[)）]$/u, '');

/** The sum of all packets that matched: a bar, and its figures. Elements stay as figures change. */
function makeAccounts() {
  const sum = el('p', { class: 'accounts-sum' });
  const rows = [...ACCOUNTS, { name: 'on_the_way', kind: 'way' }].map(({ name, kind }) => {
    const bar = el('span', { class: `account-${name} ${kind}` });
    const count = el('td', { class: 'number' });
    const share = el('td', { class: 'number muted' });
    const row = el('tr', null, el('th', { scope: 'row' }, el('span', { class: `sample account-${name} ${kind}`, 'aria-hidden': 'true' }), t(`account.${name}`)), count, share, el('td', { class: 'help' }, t(`account.${name}.help`)));
    return { name, kind, bar, count, share, row };
  });
  const element = el('div', { class: 'stack' }, sum,
    el('div', { class: 'meter accounts-bar', 'aria-hidden': 'true' }, rows.map(({ bar }) => bar)),
    el('table', { class: 'accounts' }, el('tbody', null, rows.map(({ row }) => row))));
  return {
    element,
    /** @param {Task} task */
    update: ({ counters, state }) => {
      const { matched, dropped } = counters;
      const figures = /** @type {Record<string, number>} */ ({ ...counters, ...dropped });
      const accounted = ACCOUNTS.reduce((all, { name }) => all + (figures[name] ?? 0), 0);
      figures.on_the_way = Math.max(0, matched - accounted);
      setText(sum, t('account.sum', { count: matched, size: format.bytes(counters.bytes) }));
      for (const { name, kind, bar, count, share, row } of rows) {
        const value = figures[name] ?? 0;
        const part = matched > 0 ? value / matched : 0;
        // What is lost stays visible, however little it is.
        set(bar, { style: { width: `${value > 0 && kind === 'lost' ? Math.max(1, part * 100) : part * 100}%` } });
        setText(count, format.number(value));
        setText(share, matched > 0 ? format.percent(part) : '');
        set(row, { hidden: name === 'on_the_way' ? value === 0 || state === 'completed' : value === 0 && name !== 'captured' && kind !== 'lost', 'data-lost': kind === 'lost' && value > 0 });
      }
    },
  };
}

/** The task as it was asked for. @param {Task} task */
function request({ id, spec }) {
  const values = valuesOf(spec);
  const words = (/** @type {string} */ key) => {
    if (has(`new.${key}.${values[key]}`)) return t(`new.${key}.${values[key]}`);
    if (key === 'max_bytes' && values[key] === '0') return t('new.whole');
    if ((key === 'duration' || key === 'rotate_seconds') && secondsOf(values[key]) > 0) return format.duration(secondsOf(values[key]));
    if (key === 'start_at') return format.dateTime(values[key]);
    if (key === 'interfaces' && values[key] === 'any') return t('new.any_interface');
    return NUMBERS.includes(key) && /^\d+$/.test(values[key]) ? format.number(Number(values[key])) : values[key];
  };
  const shown = FIELDS.filter((key) => key !== 'name' && values[key] && !(key === 'oversize' && !values.max_bytes));
  return [
    el('p', { class: 'filter-text mono' }, foreign(filterWords(spec))),
    el('dl', { class: 'facts' }, shown.flatMap((key) => [el('dt', null, fieldName(key)), el('dd', null, key === 'icmp_errors' ? icon('check') : foreign(words(key)))]),
      el('dt', null, t('task.id')), el('dd', { class: 'mono' }, id)),
  ];
}

/**
 * What happened to the task, oldest first: from its record, and from the audit log.
 * @param {Task} task
 * @param {any[]} log
 */
function historyList(task, log) {
  /** @type {{time: string, text: string, more?: string}[]} */
  const events = log.map(({ time, who, from, action, outcome: done, detail }) => ({
    time, text: t('history.by', { what: has(`history.${action}`) ? t(`history.${action}`) : action, who: [who, from].filter(Boolean).join(', ') }),
    more: [done !== 'done' && done, detail].filter(Boolean).join(' · '),
  }));
  if (!log.some(({ action }) => action === 'task.create')) events.push({ time: task.created_at, text: t('history.task.create') });
  if (task.started_at) events.push({ time: task.started_at, text: t('history.started') });
  for (const { from, cause } of task.interruptions ?? []) events.push({ time: from, text: t(cause === 'shutdown' ? 'history.shutdown' : 'history.interrupted') });
  if (task.ended_at) events.push({ time: task.ended_at, text: t('history.ended', { why: t(`ended.${task.stop_reason ?? 'unknown'}`) }) });
  if (task.expires_at && task.files.length > 0) events.push({ time: task.expires_at, text: t('history.expires', { when: format.relative(task.expires_at) }) });
  events.sort((a, b) => new Date(a.time).getTime() - new Date(b.time).getTime());
  return el('ol', { class: 'history' }, events.map(({ time, text, more }) => el('li', null,
    el('time', { datetime: time, class: 'muted', title: format.dateTime(time) }, new Date(time).toDateString() === new Date().toDateString() ? format.timeOfDay(time) : format.dateTime(time)),
    el('div', null, foreign(text), more && el('div', { class: 'help' }, foreign(more))))));
}

/** @param {Task} task @param {() => void} downloaded */
function fileList(task, downloaded) {
  const isGone = isExpired(task);
  if (task.files.length === 0) return el('p', { class: 'muted' }, t(live.isRunning(task) ? 'task.file_grows' : 'task.no_files'));
  const digests = task.files.filter((/** @type {any} */ file) => file.sha256);
  // The record of a running task is as old as its last change of state.
  const isKnown = (/** @type {any} */ file) => file.complete || !live.isRunning(task);
  const check = digests.map((/** @type {any} */ file) => `${file.sha256}  ${file.name}`).join('\n');
  return [
    isGone && el('p', { class: 'row' }, icon('info'), t('task.expired', { when: format.dateTime(task.expires_at) })),
    el('div', { class: 'table-box' }, el('table', { class: 'table files' },
      el('thead', null, el('tr', null, ['file', 'size', 'packets', 'sha256'].map((name) => el('th', { scope: 'col', class: name === 'size' || name === 'packets' ? 'number' : null }, t(`file.${name}`))), el('th', null, el('span', { class: 'visually-hidden' }, t('file.actions'))))),
      el('tbody', null, task.files.map((/** @type {any} */ file) => el('tr', null,
        el('td', { 'data-label': t('file.file') }, foreign(file.name), !file.complete && (live.isRunning(task) ? el('span', { class: 'badge state-running' }, icon('running'), t('file.grows')) : el('span', { class: 'badge severity-warn' }, icon('warning'), t('file.incomplete')))),
        el('td', { class: 'number', 'data-label': t('file.size') }, isKnown(file) ? format.bytes(file.size) : '–'),
        el('td', { class: 'number', 'data-label': t('file.packets') }, isKnown(file) ? format.number(file.packets) : '–'),
        el('td', { 'data-label': t('file.sha256') }, file.sha256 && el('button', { type: 'button', class: 'digest mono', title: file.sha256, 'aria-label': `${file.sha256.slice(0, 12)}… ${t('action.copy')} SHA-256`, onclick: () => copy(file.sha256) }, `${file.sha256.slice(0, 12)}…`, icon('copy'))),
        el('td', { class: 'file-actions' },
          may('inspect') && !isGone && el('a', { class: 'button quiet', href: link(['tasks', task.id, 'packets'], task.files.length > 1 ? { file: file.index } : {}) }, icon('search'), t('file.open')),
          may('download') && !isGone && el('a', { class: 'button quiet', href: fileUrl(task, file.index), download: '', onclick: downloaded }, icon('download'), t('file.download')))))))),
    digests.length > 0 && !isGone && copyLine(`sha256sum -c <<'.'\n${check}\n.`, t('file.check')),
  ];
}

/**
 * Lines for a terminal. In what a shell reads, a name is quoted.
 * @param {Task} task
 */
function linesToCopy(task) {
  const index = task.files[0]?.index ?? 0;
  const name = task.files[0]?.name ?? 'capture.pcapng';
  const isOnSocket = session()?.way === 'socket';
  const path = `/${named(`tasks/${task.id}/files/${index}`)}`;
  const curl = isOnSocket ? `curl -f -C - -o ${quoted(name)} --unix-socket /run/capture-agent/api.sock localhost${path}`
    : `curl -f -C - -o ${quoted(name)} -H "Authorization: Bearer $TOKEN" ${fileUrl(task, index)}`;
  const download = `capture-agent task download ${task.id} -w -${task.files.length > 1 ? ` --file ${index}` : ''}`;
  return [
    copyLine(curl, t(isOnSocket ? 'lines.curl_here' : 'lines.curl')),
    copyLine(`ssh ${quoted(session()?.host ?? 'host')} ${download} | wireshark -k -i -`, t('lines.wireshark')),
    copyLine(`${download} | tshark -r - -q -z conv,tcp -z conv,udp`, t('lines.tshark')),
  ];
}

/** @param {string} text */
const quoted = (text) => (/^[\w.:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * The worst findings, and a way to all.
 * @param {Task} task
 * @param {any[]} findings
 */
function topFindings(task, findings) {
  if (findings.length === 0) return el('p', { class: 'row' }, icon('check'), t('findings.none'));
  return [
    el('ul', { class: 'top-findings' }, findings.slice(0, MOST_FINDINGS).map((finding) => {
      const href = evidence(task, finding);
      return el('li', null, severityBadge(finding.severity), el('span', { class: 'grow' }, foreign(finding.summary)), href && el('a', { href }, t('findings.packets')));
    })),
    el('a', { href: link(['tasks', task.id, 'findings']) }, t('findings.all', { count: findings.length })),
  ];
}
