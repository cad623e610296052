// A task in words: what it takes, how far it is, what it lost. The table and the page of a task share them.

import * as format from './format.js';
import * as live from './live.js';
import { bytesOf, secondsOf } from './spec.js';
import { t } from './words.js';

/** @typedef {Record<string, any>} Task */

/**
 * What a task takes, short: `TCP 10.0.0.5:443 ↔ 10.0.0.9`.
 * @param {Record<string, any>} spec
 */
export function filterWords(spec) {
  const protocol = spec.protocol && spec.protocol !== 'all' ? spec.protocol.toUpperCase() : '';
  const left = endpoint(spec.ip, spec.ports);
  const right = endpoint(spec.peer_ip, spec.peer_ports);
  const ends = [left, right].filter(Boolean).join(' ↔ ');
  const direction = spec.direction && spec.direction !== 'both' ? t(`direction.${spec.direction}`) : '';
  const all = [protocol, ends, spec.filter, direction].filter(Boolean).join(' · ').replace(/^(\S+) · /, '$1 ');
  return all || t('task.everything');
}

/** Addresses of one side that are shown, of a long list. */
const MOST_HOSTS = 4;

/**
 * @param {any} address one or several
 * @param {(number | string)[] | null | undefined} ports
 */
function endpoint(address, ports) {
  const all = [address ?? []].flat();
  const more = all.length > MOST_HOSTS ? [`+${all.length - MOST_HOSTS}`] : [];
  const hosts = [...all.slice(0, MOST_HOSTS), ...more].join(', ');
  const list = ports?.length ? ports.join(', ') : '';
  if (hosts && list) return all.length > 1 || hosts.includes(':') ? `[${hosts}]:${list}` : `${hosts}:${list}`;
  if (list) return t('task.port', { ports: list });
  return hosts;
}

/**
 * @typedef {object} Limit how far a task is towards one of its limits
 * @property {'duration' | 'max_packets' | 'max_file_bytes'} limit
 * @property {number} is seconds, packets or bytes
 * @property {number} most the limit
 * @property {number} used the part that is used, 0 to 1
 * @property {number | null} left seconds until it is reached, where that can be told
 */

/** The service ends a task after so many seconds where it asks for nothing else. */
const DEFAULT_SECONDS = 60;

/**
 * The limits of a task that has started, the one that it reaches first before the others.
 * @param {Task} task
 * @param {number} [now] milliseconds
 * @returns {Limit[]}
 */
export function limits(task, now = Date.now()) {
  if (!task.started_at) return [];
  const { spec, counters } = task;
  const elapsed = Math.max(0, (now - new Date(task.started_at).getTime()) / 1000);
  const { packets, bytes } = rate(task);
  /** @type {Limit[]} */
  const all = [];
  const add = (/** @type {Limit['limit']} */ limit, /** @type {number} */ is, /** @type {number} */ most, /** @type {number} */ speed) => {
    if (!(most > 0)) return;
    all.push({ limit, is: Math.min(is, most), most, used: Math.min(1, is / most), left: speed > 0 ? Math.max(0, (most - is) / speed) : null });
  };
  add('duration', elapsed, secondsOf(spec.duration ?? DEFAULT_SECONDS), 1);
  add('max_packets', counters.captured, Number(spec.max_packets), packets);
  add('max_file_bytes', counters.bytes, bytesOf(spec.max_file_bytes), bytes);
  return all.sort((a, b) => (a.left ?? Infinity) - (b.left ?? Infinity));
}

/**
 * How far a task is towards the limit that it reaches first.
 * @param {Task} task
 * @param {number} [now] milliseconds
 */
export function progress(task, now = Date.now()) {
  return limits(task, now)[0] ?? null;
}

/**
 * Packets and bytes a second of a running task, of the last seconds.
 * @param {Task} task
 * @returns {{packets: number, bytes: number}}
 */
export function rate(task) {
  const points = live.rates.get(task.id) ?? [];
  const last = points.at(-1);
  const before = points.at(-4) ?? points[0];
  if (!last || !before || last === before || !live.isRunning(task)) return { packets: 0, bytes: 0 };
  const seconds = (last.at - before.at) / 1000;
  return {
    packets: Math.max(0, last.counters.captured - before.counters.captured) / seconds,
    bytes: Math.max(0, last.counters.bytes - before.counters.bytes) / seconds,
  };
}

/** Stages at which a packet can be lost, in the order of its way. */
export const STAGES = ['ring', 'queue', 'write', 'copy'];

/**
 * Packets that matched and are not in the file, and the stages that lost them.
 * @param {Task} task
 */
export function lost(task) {
  const dropped = task.counters.dropped;
  const stages = STAGES.filter((stage) => dropped[stage] > 0);
  const count = lostPackets(task.counters);
  return { count, causes: stages.map((stage) => t(`lost.${stage}`, { count: dropped[stage] })).join(', ') };
}

/** Packets that are lost. @param {any} counters */
export function lostPackets({ dropped }) {
  return STAGES.reduce((sum, stage) => sum + dropped[stage], 0);
}

/**
 * How far it is, in words: `12 s of 1 min`, `640 of 1,000 packets`.
 * @param {Task} task
 */
export function progressWords(task) {
  const found = progress(task);
  if (!found) return '';
  return limitWords(found);
}

/** @param {Limit} limit */
export function limitWords({ limit, is, most }) {
  switch (limit) {
    case 'duration':
      return t('progress.duration', { is: format.duration(Math.floor(is)), most: format.duration(most) });
    case 'max_packets':
      return t('progress.max_packets', { is: format.number(is), most: format.number(most) });
    default:
      return t('progress.max_file_bytes', { is: format.bytes(is), most: format.bytes(most) });
  }
}

/**
 * Why it ended, in a few words; empty while it has not.
 * @param {Task} task
 */
export function endWords(task) {
  return task.stop_reason ? t(`stop.${task.stop_reason}`) : '';
}
