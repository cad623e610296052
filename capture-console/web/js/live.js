// What happens to tasks, as it happens: one stream of events for the whole page, and the tasks as they are now. When the
// stream was gone, or the service says that events are lost, all tasks are listed again, so that none is stale or twice.

import { access, call, stream, whoAsks } from './api.js';

/** @typedef {Record<string, any>} Task */

/**
 * Tells of what comes: `task` (the task in `detail`), `deleted` (its ID), `stats` (running tasks' figures), `finding`
 * (`{task, finding}`), `tasks` (all were listed again), and `state` of the connection.
 */
export const events = new EventTarget();

/** All tasks that are known, by ID. @type {Map<string, Task>} */
export const tasks = new Map();

/** Figures of running tasks over the last minute, a point a second, by ID. @type {Map<string, {at: number, counters: any}[]>} */
export const rates = new Map();

/** `connecting`, `live` or `lost`; and when something last came, in milliseconds. */
export const connection = { state: 'connecting', at: 0 };

const MOST_POINTS = 61;
/** Without a sign of life for so long (one comes every second or 15 s), the stream is taken for dead. */
const SILENCE_MS = 40_000;

/** @type {import('./transport.js').Events | null} */
let source = null;
let retry = 0;
let retryTimer = 0;
let isListed = false;
/** Counts the listings, so that an old one that comes late is not taken. */
let listing = 0;
/** What happened while a listing was under way is newer than it. @type {Set<string>} */
let touched = new Set();

/** Begins, or begins anew. */
export function start() {
  stop();
  connect();
}

/** Ends. */
export function stop() {
  source?.close();
  source = null;
  clearTimeout(retryTimer);
  tasks.clear();
  rates.clear();
  isListed = false;
  listing += 1;
}

/** Whether the tasks were listed since the start. */
export function hasTasks() {
  return isListed;
}

/** A task only goes on in these. */
const STATES = ['pending', 'running', 'stopping', 'completed', 'failed'];

/**
 * Takes a task that a call gave, so that it is shown before its event comes. The event may have come before the answer,
 * which is then old.
 * @param {Task} task
 */
export function put(task) {
  const known = tasks.get(task.id);
  if (known && STATES.indexOf(known.state) > STATES.indexOf(task.state)) return;
  touched.add(task.id);
  tasks.set(task.id, task);
  tell('task', task);
}

/**
 * A task as it is now, where one was found a while ago: what happened to it meanwhile was told before anybody listened.
 * @template {Task} T
 * @param {T} task
 * @returns {T | Task}
 */
export function latest(task) {
  return tasks.get(task.id) ?? task;
}

/** Newest first. */
export function newestFirst() {
  return [...tasks.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** @param {string} name @param {any} [detail] */
function tell(name, detail) {
  events.dispatchEvent(new CustomEvent(name, { detail }));
}

/** @param {string} state */
function setState(state) {
  if (connection.state === state) return;
  connection.state = state;
  tell('state');
}

function connect() {
  const opened = stream('events');
  source = opened;
  const alive = () => {
    connection.at = Date.now();
    setState('live');
  };
  opened.onopen = () => {
    retry = 0;
    alive();
    list();
  };
  opened.onerror = () => {
    if (source !== opened) return;
    // By ourselves, with growing pauses: a browser gives up after an answer that is no stream.
    opened.close();
    setState('lost');
    retry = Math.min(retry + 1, 6);
    retryTimer = setTimeout(reconnect, 250 * 2 ** retry);
  };
  listen(opened, 'task', (task) => {
    alive();
    touched.add(task.id);
    tasks.set(task.id, task);
    if (!isRunning(task)) rates.delete(task.id);
    tell('task', task);
  });
  listen(opened, 'deleted', ({ id }) => {
    alive();
    touched.add(id);
    tasks.delete(id);
    rates.delete(id);
    tell('deleted', id);
  });
  listen(opened, 'stats', (stats) => {
    alive();
    takeStats(stats.tasks ?? []);
    tell('stats', stats.tasks ?? []);
  });
  listen(opened, 'finding', (found) => {
    alive();
    tell('finding', found);
  });
  for (const name of ['missed', 'lagged']) listen(opened, name, list);
}

async function reconnect() {
  // An EventSource does not say why it failed; this does, and shows the login where that is it.
  const who = await whoAsks().catch(() => undefined);
  if (who === null) access.dispatchEvent(new Event('signed-out'));
  if (source) connect();
}

/**
 * @param {import('./transport.js').Events} opened
 * @param {string} name
 * @param {(data: any) => void} take
 */
function listen(opened, name, take) {
  opened.addEventListener(name, (event) => {
    if (source === opened) take(JSON.parse(/** @type {MessageEvent} */ (event).data));
  });
}

/** @param {Task} task */
export function isRunning(task) {
  return task.state === 'running' || task.state === 'stopping';
}

/** @param {any[]} stats */
function takeStats(stats) {
  const at = Date.now();
  for (const { id, counters } of stats) {
    const task = tasks.get(id);
    if (task) task.counters = counters;
    const points = rates.get(id) ?? [];
    points.push({ at, counters });
    if (points.length > MOST_POINTS) points.shift();
    rates.set(id, points);
  }
}

/** All tasks, page by page. The first page is shown at once. */
async function list() {
  listing += 1;
  const mine = listing;
  touched = new Set();
  const seen = new Set();
  let cursor = null;
  try {
    do {
      const page = await call('GET', 'tasks', { query: { limit: 500, cursor } });
      if (mine !== listing) return;
      for (const task of page.tasks) {
        seen.add(task.id);
        if (!touched.has(task.id)) tasks.set(task.id, task);
      }
      cursor = page.next_cursor;
      isListed = true;
      tell('tasks');
    } while (cursor);
  } catch {
    // The stream fails as well, and then comes back.
    return;
  }
  for (const id of tasks.keys()) {
    if (!seen.has(id) && !touched.has(id)) tasks.delete(id);
  }
  tell('tasks');
}

setInterval(() => {
  if (source && connection.state === 'live' && Date.now() - connection.at > SILENCE_MS) {
    source.dispatchEvent(new Event('error'));
  }
}, 5000);

access.addEventListener('signed-out', stop);
