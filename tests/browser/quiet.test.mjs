// A page logs no error where nobody did anything wrong: not logged in, without a role, of a task that waits, that runs, that
// has no packets, whose analysis is not there yet, whose files are gone. A browser logs each answer of 400 and above.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon, eventually, pings } from './lab.mjs';

/** @type {Daemon} */
let daemon;
/** @type {string} */
let url;

before(async () => {
  daemon = await new Daemon().start();
  url = await daemon.socketUrl();
});

after(async () => {
  await stop();
  await daemon?.remove();
});

/** @param {string} id */
const pagesOf = (id) => ['', '/findings', '/packets', '/packets?n=3', '/conversations'].map((part) => `#/tasks/${id}${part}`);

/** @param {Visitor} visitor @param {string[]} places @param {string} what */
async function tour(visitor, places, what) {
  for (const place of places) {
    await visitor.go(place);
    await visitor.settled(place);
    visitor.check(`${what}: ${place}`);
  }
}

test('tasks in every state', async () => {
  const waits = daemon.create({ name: 'waits', start_at: new Date(Date.now() + 3600e3).toISOString() });
  const silent = daemon.create({ name: 'silent', protocol: 'tcp', ports: [9] });
  const empty = daemon.create({ name: 'empty', protocol: 'tcp', ports: [10] });
  const runs = daemon.create({ name: 'runs', protocol: 'icmp' });
  for (const { id } of [silent, empty, runs]) await daemon.reaches(id, 'running');
  const traffic = pings(50);
  daemon.api('POST', `tasks/${empty.id}/stop`, {});
  await daemon.reaches(empty.id, 'completed');
  await eventually('packets', () => daemon.api('GET', `tasks/${runs.id}`).counters.captured > 20);
  const visitor = await Visitor.at(url);
  for (const { id, name } of [waits, silent, empty, runs]) await tour(visitor, pagesOf(id), name);
  await tour(visitor, [`#/compare?task=${runs.id}&baseline=${empty.id}`, `#/compare?task=${waits.id}&baseline=${silent.id}`], 'compared');
  await visitor.page.getByText('These two cannot be compared').waitFor();

  // While its analysis waits or runs, and after.
  await visitor.go(`#/tasks/${runs.id}/findings`);
  daemon.api('POST', `tasks/${runs.id}/stop`, {});
  await daemon.reaches(runs.id, 'completed');
  traffic.kill();
  await tour(visitor, pagesOf(runs.id), 'ended');
  await tour(visitor, [`#/compare?task=${runs.id}&baseline=${empty.id}`], 'compared');
  await visitor.close();
});

test('a link to what is no filter', async () => {
  const { tasks } = daemon.api('GET', 'tasks?search=runs');
  const visitor = await Visitor.at(url);
  for (const place of ['packets', 'conversations']) {
    await tour(visitor, [`#/tasks/${tasks[0].id}/${place}?filter=tcp.prot`], 'filter');
    await visitor.page.getByText('The filter cannot be used').waitFor();
  }
  await visitor.close();
});

test('tasks that are gone', async () => {
  const { id } = daemon.create({ name: 'gone', start_at: new Date(Date.now() + 3600e3).toISOString() });
  daemon.api('DELETE', `tasks/${id}`);
  const other = daemon.api('GET', 'tasks?search=empty').tasks[0].id;
  const visitor = await Visitor.at(url);
  for (const one of [id, 'none']) {
    await tour(visitor, pagesOf(one), 'gone');
    await visitor.page.getByText('There is no such task').waitFor();
  }
  await tour(visitor, [`#/compare?task=${other}&baseline=${id}`, `#/new?from=${id}`], 'gone');
  await visitor.close();
});

test('links to what was shared', async () => {
  const { id } = daemon.api('GET', 'tasks?search=runs').tasks[0];
  const made = daemon.api('POST', `tasks/${id}/shares`, { expires_in: 600, findings: true, packets: 'none' });
  daemon.api('DELETE', `shares/${made.share.id}`);
  for (const link of [made.url, '/#/share/shr_0']) {
    const visitor = await Visitor.at(new URL(link, daemon.url).href);
    await visitor.page.getByText('This link does not hold any more').waitFor();
    await visitor.settled('share');
    visitor.check(`share: ${link}`);
    await visitor.close();
  }
});

test('run again, where the quota is used up', async () => {
  const small = await new Daemon('tasks_per_day = 1\n').start();
  try {
    const { id } = small.create({ name: 'once', protocol: 'icmp' });
    await small.reaches(id, 'running');
    small.api('POST', `tasks/${id}/stop`, {});
    await small.reaches(id, 'completed');
    const visitor = await Visitor.at(`${await small.socketUrl()}#/tasks/${id}`);
    await visitor.page.getByRole('button', { name: 'Run again' }).click();
    await visitor.page.getByText(/quota|tasks a day|per day/i).first().waitFor();
    await visitor.settled('again');
    visitor.check('again');
    await visitor.close();
    assert.equal(small.api('GET', 'tasks').tasks.length, 1);
  } finally {
    await small.remove();
  }
});

test('a form with faults, and an address that nothing leads to', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  await tour(visitor, ['#/new?address_type=ip&ip=203.0.113.9', '#/new?ports=9-1&protocol=tcp'], 'form');
  await page.locator('.field-ports .fault').waitFor();
  // What would be refused is not sent.
  await page.getByRole('button', { name: 'Start capture' }).click();
  await page.locator('.field-ports [aria-invalid=true]').waitFor();
  await visitor.settled('refused');
  visitor.check('refused');
  await visitor.close();
});

test('a viewer at every address', async () => {
  const { tasks } = daemon.api('GET', 'tasks');
  const visitor = await Visitor.at(daemon.url);
  await visitor.page.getByLabel('Token').waitFor();
  visitor.check('logged out');
  await visitor.page.getByLabel('Token').fill(daemon.token('viewer'));
  await visitor.page.keyboard.press('Enter');
  await visitor.page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  await tour(visitor, ['#/tasks', '#/interfaces', '#/storage', '#/access', '#/new', ...tasks.flatMap((/** @type {any} */ { id }) => pagesOf(id))], 'viewer');
  for (const place of ['#/audit', '#/health', `#/compare?task=${tasks[0].id}`, `#/tasks/${tasks[0].id}/packets`]) {
    await tour(visitor, [place], 'viewer');
    await visitor.page.getByRole('heading', { name: 'You may not see this page' }).waitFor();
  }
  await visitor.close();
});

test('files whose time is over', async () => {
  const { id } = daemon.api('GET', 'tasks?search=runs').tasks[0];
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  // The daemon is asked for all but the time, which is over for the page.
  await page.route(/\/api\/v1\/tasks\?/, async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    for (const task of answer.tasks) if (task.id === id) task.expires_at = new Date(Date.now() - 60_000).toISOString();
    await route.fulfill({ response, json: answer });
  });
  await page.route(new RegExp(`/tasks/${id}/(packets|conversations|series|export)`), (route) => route.fulfill({ status: 410, json: {} }));
  await page.reload();
  await page.getByText('4 tasks').waitFor();
  await tour(visitor, pagesOf(id), 'expired');
  await page.getByText('The packets are no longer there').waitFor();
  await visitor.close();
});
