// What a task would do, as the service says it before it starts: its filter, where it hooks in, what it may write, what
// it costs of the quota, what is to be minded; and what is there now, by a probe of three seconds.

import { post } from './api.js';
import { el, replace, set } from './dom.js';
import { faultText } from './faults.js';
import * as format from './format.js';
import { may } from './frame.js';
import { link } from './router.js';
import { bytesOf, fieldOf, secondsOf } from './spec.js';
import { copyLine, errorText, foreign, icon, notice } from './ui.js';
import { t } from './words.js';

/** @typedef {import('./spec.js').Values} Values */

const PROBE_SECONDS = 3;

/**
 * @param {{spec: () => any, values: Values, change: (changed: Values) => void}} form
 */
export function preview({ spec, values, change }) {
  const state = el('div', { class: 'preview-state', role: 'status' });
  const body = el('div', { class: 'stack' });
  const probed = el('div', { class: 'probed', 'aria-live': 'polite' });
  const ask = el('button', { type: 'button', class: 'button', onclick: () => { if (!ask.hasAttribute('aria-disabled')) probe(); } }, icon('running'), el('span', null, t('preview.probe')));
  const element = el('section', { class: 'card preview', 'aria-label': t('preview.title') },
    el('h2', null, t('preview.title')), state,
    may('inspect') && el('div', { class: 'probe' }, el('div', { class: 'row' }, ask, el('span', { class: 'help grow' }, t('preview.probe.help'))), probed),
    body);
  /** @type {AbortController | null} */
  let running = null;
  /** @type {any} */
  let planned = null;
  let shown = '';

  async function probe() {
    const mine = new AbortController();
    running?.abort();
    running = mine;
    const asked = spec();
    // Not `disabled`: that would take the focus from it.
    set(ask, { 'aria-disabled': 'true' });
    replace(probed, el('div', { class: 'probing' }, el('div', { class: 'meter' }, el('span')), el('span', { class: 'help' }, t('preview.probing'))));
    try {
      const answer = await post('probes', { spec: asked, seconds: PROBE_SECONDS }, undefined, mine.signal);
      if (running === mine) replace(probed, result(answer, planned?.spec ?? asked, change, values));
    } catch (error) {
      if (running === mine) replace(probed, notice('high', errorText(error)));
    } finally {
      if (running === mine) set(ask, { 'aria-disabled': null });
    }
  }

  return {
    element,
    end: () => running?.abort(),
    /** @param {any} answer of the dry run */
    show: (answer) => {
      planned = answer;
      set(ask, { disabled: null });
      replace(state, el('p', { class: 'works' }, icon('check'), starts(answer)));
      // What has not changed stays, with what is selected in it.
      const text = JSON.stringify(answer, (key, value) => (key === 'ends_at' || key === 'disk_free' ? undefined : value));
      if (text === shown) return;
      shown = text;
      replace(body, plan(answer, spec()));
    },
    /**
     * @param {{others: any[], waiting: number, count: number}} faults
     * @param {unknown} error
     */
    showFaults: ({ others, waiting, count }, error) => {
      planned = null;
      shown = '';
      set(ask, { disabled: true });
      replace(body);
      const placed = count - waiting - others.length;
      replace(state,
        count === 0 && notice('high', errorText(error)),
        placed > 0 && notice('warn', t('preview.faults', { count: placed })),
        placed === 0 && waiting > 0 && el('p', { class: 'muted' }, t('preview.incomplete')),
        others.map((fault) => notice('high', foreign(faultText(fault)))));
    },
  };
}

/** @param {any} answer */
function starts({ starts: when, running, max_running: most, ends_at: end }) {
  const ends = end ? t('preview.ends', { time: format.timeOfDay(end) }) : '';
  if (when === 'waits') return `${t('preview.waits', { running: running ?? 0, most: most ?? 0 })} ${ends}`;
  if (when && when !== 'now') return `${t('preview.starts_at', { time: format.dateTime(when) })} ${ends}`;
  return `${t('preview.starts_now')} ${ends}`;
}

/**
 * @param {any} answer
 * @param {any} spec as it is asked for
 */
function plan(answer, spec) {
  const { warnings = [], hooks = [], summary, expression, expression_caveats: caveats = [], cli, curl, quota } = answer;
  /** @type {[string, any][]} */
  const facts = [];
  if (summary) facts.push([t('preview.filter'), foreign(summary)]);
  if (hooks.length > 0) facts.push([t('preview.hooks'), hookList(hooks)]);
  if (answer.worst_case_bytes !== undefined) facts.push([t('preview.most'), disk(answer)]);
  if (quota) facts.push([t('preview.quota'), quotaText(quota)]);
  return [
    warnings.map((/** @type {any} */ warning) => notice('warn', foreign(sentence(warning.detail)), warning.task ? [' ', el('a', { href: link(['tasks', warning.task]) }, t('preview.see_task'))] : goTo(warning.pointer))),
    facts.length > 0 && el('dl', { class: 'facts' }, facts.flatMap(([name, value]) => [el('dt', null, name), el('dd', null, value)])),
    expression && el('div', { class: 'expression' }, copyLine(expression, t('preview.expression')),
      caveats.length > 0 && el('ul', { class: 'caveats help' }, caveats.map((/** @type {string} */ text) => el('li', null, foreign(sentence(text)))))),
    (cli || curl) && el('details', { class: 'lines' }, el('summary', null, t('preview.lines')),
      cli && copyLine(cli, 'capture-agent'), curl && copyLine(curl, 'curl')),
    !cli && !curl && el('details', { class: 'lines' }, el('summary', null, t('preview.request')), copyLine(JSON.stringify(spec), 'JSON')),
  ];
}

/** The service's texts begin in lower case, as they follow a name on the command line. @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A button to the field that a warning is about. @param {string | undefined} pointer */
function goTo(pointer) {
  const name = fieldOf(pointer ?? '');
  const control = () => /** @type {HTMLElement | null} */ (document.querySelector(`.field-${CSS.escape(name)} input`));
  if (!control()) return null;
  const go = () => {
    const found = control();
    const hidden = found?.closest('details');
    if (hidden) hidden.open = true;
    found?.focus();
  };
  return [' ', el('button', { type: 'button', class: 'preset', onclick: go }, t('preview.to_field'))];
}

/** @param {any[]} hooks */
function hookList(hooks) {
  return el('ul', { class: 'hooks' }, hooks.map(({ interface: name, hook, mode, conflict }) => el('li', null,
    el('b', null, foreign(name)), ' ', [hook, mode].filter(Boolean).join(', '),
    conflict && el('span', { class: 'fault' }, ' ', icon('warning'), ' ', conflict))));
}

/** @param {any} answer */
function disk({ worst_case_bytes: most, disk_free: free, budget, budget_left: left, budget_left_after: after }) {
  const parts = [el('b', null, most === null ? t('preview.unbounded') : format.bytes(most))];
  if (typeof free === 'number') parts.push(t('preview.free', { size: format.bytes(free) }));
  if (typeof budget === 'number' && typeof left === 'number') parts.push(t('preview.budget', { left: format.bytes(left), budget: format.bytes(budget) }));
  const whole = typeof budget === 'number' ? budget : free;
  const taken = typeof after === 'number' && typeof left === 'number' ? left - after : most;
  const used = typeof budget === 'number' && typeof left === 'number' ? budget - left : 0;
  return [
    el('div', null, parts.flatMap((part, index) => (index === 0 ? [part] : [' · ', part]))),
    whole > 0 && typeof taken === 'number' && el('div', { class: 'meter disk', 'aria-hidden': 'true' },
      bar('used', used / whole), bar('', Math.min(taken, whole - used) / whole)),
  ];
}

/** @param {string} kind @param {number} share */
function bar(kind, share) {
  return el('span', { class: kind, style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } });
}

/** @param {any} quota */
function quotaText({ limit, left_after: after, resets_at: resets }) {
  if (limit === null || limit === undefined) return t('quota.unlimited');
  return t('preview.quota_after', { after: Math.max(0, after ?? 0), limit, when: format.relative(resets) });
}

/**
 * What a probe saw.
 * @param {any} answer
 * @param {any} spec
 * @param {(changed: Values) => void} change
 * @param {Values} values
 */
function result({ seen, matched, rate, hint, talkers = [], seconds = PROBE_SECONDS }, spec, change, values) {
  if (matched === 0) {
    return el('div', { class: 'stack' }, notice('warn', el('b', null, t('preview.none')), ' ',
      hint ? foreign(hint) : t('preview.seen', { count: seen ?? 0, seconds: format.duration(seconds) })), talkerList(talkers, change, values));
  }
  const length = secondsOf(spec.duration);
  const estimate = length && rate?.bytes ? format.bytes(rate.bytes * length) : null;
  return el('div', { class: 'stack' },
    el('div', { class: 'probe-result' }, icon('check'), el('div', null,
      el('b', null, t('preview.matched', { packets: format.packetRate(rate?.packets ?? matched / seconds), bytes: format.byteRate(rate?.bytes ?? 0) })),
      estimate && el('div', null, t('preview.estimate', { size: estimate, time: format.duration(length) })),
      seen !== undefined && el('div', { class: 'muted' }, t('preview.seen', { count: seen, seconds: format.duration(seconds) })),
      firstLimit(spec, rate, length))),
    talkerList(talkers, change, values));
}

/** Says so where another limit than the time would end the task. @param {any} spec @param {any} rate @param {number} length */
function firstLimit(spec, rate, length) {
  const limits = [
    ['max_packets', Number(spec.max_packets) / rate?.packets],
    ['max_file_bytes', bytesOf(spec.max_file_bytes) / rate?.bytes],
  ].filter(([, time]) => Number.isFinite(time) && Number(time) > 0 && (!length || Number(time) < length)).sort((a, b) => Number(a[1]) - Number(b[1]));
  if (limits.length === 0) return null;
  const [name, time] = limits[0];
  return el('div', { class: 'warn-text' }, icon('warning'), ' ', t('preview.ends_early', { limit: t(`new.${name}`), time: format.duration(Number(time)) }));
}

/** @param {any[]} talkers @param {(changed: Values) => void} change @param {Values} values */
function talkerList(talkers, change, values) {
  if (talkers.length === 0) return null;
  return el('div', { class: 'talkers' }, el('p', { class: 'help' }, t('preview.talkers')),
    el('div', { class: 'presets' }, talkers.slice(0, 12).map(({ address, port, protocol, packets }) => el('button', { type: 'button', class: 'preset mono', onclick: () => {
      /** @type {Values} */
      const found = { ip: address, ports: port ? String(port) : '' };
      if (!values.address_type || values.address_type === 'any') found.address_type = 'ip';
      const name = String(protocol ?? '').toLowerCase();
      if (['tcp', 'udp', 'icmp'].includes(name)) found.protocol = name;
      change(found);
    } }, `${address}${port ? ` : ${port}` : ''}`, el('span', { class: 'muted' }, ` ${String(protocol ?? '').toUpperCase()} ${format.compact(packets ?? 0)}`)))));
}
