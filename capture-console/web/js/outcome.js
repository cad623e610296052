// What became of a task, in one sentence: how much was captured, what was lost and why, and what to change.

import * as format from './format.js';
import * as live from './live.js';
import { link } from './router.js';
import { bytesOf, queryLike } from './spec.js';
import { STAGES, lostPackets } from './task_words.js';
import { t } from './words.js';

/** @typedef {import('./live.js').Task} Task */

/** Bytes of a packet that hold its headers. */
const HEADERS = 128;
const FEWER = 96;

/**
 * @typedef {object} Outcome
 * @property {'good' | 'info' | 'warn' | 'high'} kind
 * @property {string} text the sentence
 * @property {string} [more] what to know or do besides
 * @property {{label: string, href: string}} [better] a task that would do better
 */

/**
 * @param {Task} task
 * @returns {Outcome}
 */
export function outcome(task) {
  const { counters, state } = task;
  const gone = lostPackets(counters);
  if (state === 'pending') return { kind: 'info', text: waits(task) };
  const gaps = task.interruptions ?? [];
  if (live.isRunning(task)) {
    if (gaps.at(-1)?.until === null) return { kind: 'warn', text: t('outcome.interrupted_waits') };
    const text = t(state === 'stopping' ? 'outcome.stopping' : 'outcome.running', { count: counters.captured });
    return gone > 0 ? { kind: 'warn', text: `${text} ${t('outcome.lost_so_far', { count: gone })} ${causes(counters)}`, ...remedy(task) }
      : { kind: 'info', text: `${text} ${t('outcome.none_lost')}` };
  }
  const why = t(`ended.${task.stop_reason ?? 'unknown'}`);
  if (state === 'failed') {
    return { kind: 'high', text: `${t('outcome.failed', { why })} ${t('outcome.kept', { count: counters.captured })}`,
      more: [task.error, gone > 0 && `${t('outcome.lost', { count: gone, all: format.number(counters.matched) })} ${causes(counters)}`].filter(Boolean).join(' '), ...(task.stop_reason === 'disk_full' ? remedy(task) : {}) };
  }
  if (gone > 0) {
    const { more, better } = remedy(task);
    return { kind: 'high', text: `${t('outcome.not_complete', { count: gone, all: format.number(counters.matched) })} ${causes(counters)}`, more: [why, more].join(' '), better };
  }
  if (gaps.length > 0) return { kind: 'warn', text: t('outcome.interrupted', { count: gaps.length, packets: t('outcome.kept', { count: counters.captured }) }), more: why };
  if (counters.matched === 0) return { kind: 'warn', text: t('outcome.nothing'), more: [why, t('outcome.nothing_more')].join(' '), better: { label: t('action.edit_and_run'), href: link(['new'], queryLike(task.spec)) } };
  return { kind: 'good', text: t('outcome.complete', { count: counters.captured }), more: [why, leftOut(counters)].filter(Boolean).join(' ') };
}

/** @param {Task} task */
function waits({ start_at: start }) {
  const isLater = start && new Date(start).getTime() > Date.now();
  return isLater ? t('outcome.starts', { time: format.dateTime(start), when: format.relative(start) }) : t('outcome.waits');
}

/** Why packets were lost. @param {any} counters */
function causes({ dropped }) {
  return STAGES.filter((name) => dropped[name] > 0).map((name) => t(`outcome.cause.${name}`, { count: dropped[name] })).join(' ');
}

/** What was left out on request, where something was. @param {any} counters */
function leftOut(counters) {
  return counters.oversize_discarded > 0 ? t('outcome.discarded', { count: counters.oversize_discarded }) : '';
}

/**
 * What to change, so that less is lost: fewer bytes of each packet, as long as that is possible.
 * @param {Task} task
 */
function remedy({ spec }) {
  const kept = bytesOf(spec.max_bytes ?? 0) || Infinity;
  const fewer = kept > HEADERS ? HEADERS : kept > FEWER ? FEWER : null;
  if (fewer === null) return { more: t('outcome.narrow'), better: { label: t('outcome.narrower'), href: link(['new'], queryLike(spec)) } };
  return { more: t('outcome.fewer', { count: fewer }), better: { label: t('outcome.with_fewer', { count: fewer }), href: link(['new'], queryLike(spec, { max_bytes: String(fewer) })) } };
}
