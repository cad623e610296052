// The service goes away and comes back while a page is open: the page says so, and then shows each task once and as it is.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon, eventually } from './lab.mjs';

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

/** Names and states as the table has them. @param {Visitor} visitor @returns {Promise<Record<string, string>>} */
async function table({ page }) {
  const rows = await page.locator('table.tasks tbody tr').all();
  /** @type {Record<string, string>} */
  const all = {};
  for (const row of rows) {
    const name = await row.locator('a.name').innerText();
    assert.ok(!(name in all), `${name} is there twice`);
    all[name] = (await row.locator('.col-state').innerText()).trim();
  }
  return all;
}

test('killed and started in the middle of the stream', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  // The browser itself says of a stream that it ended.
  visitor.expected.push(/ERR_|Failed to load resource/);
  const kept = daemon.create({ name: 'kept' });
  daemon.create({ name: 'deleted meanwhile', max_packets: 1 });
  await page.locator('a.name', { hasText: 'kept' }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await daemon.end('SIGKILL');
  await page.getByText('No connection').waitFor();
  await daemon.start();
  const known = daemon.api('GET', 'tasks').tasks;
  const deleted = known.find((/** @type {any} */ task) => task.name === 'deleted meanwhile');
  daemon.api('DELETE', `tasks/${deleted.id}?force=true`);
  daemon.create({ name: 'new' });
  await page.getByText('Live', { exact: true }).waitFor();
  const states = { running: 'Running', completed: 'Completed', failed: 'Failed', pending: 'Pending', stopping: 'Stopping' };
  await eventually('the same tasks as the API has', async () => {
    const tasks = daemon.api('GET', 'tasks').tasks;
    const wanted = Object.fromEntries(tasks.map((/** @type {any} */ { name, state }) => [name, states[/** @type {keyof typeof states} */ (state)]]));
    assert.deepEqual(await table(visitor), wanted);
    return true;
  });
  assert.ok(kept.id);
  visitor.check();
  await visitor.close();
});

test('rows do not move under a pointer', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  const first = page.locator('table.tasks tbody tr').first();
  await first.waitFor();
  const name = await first.locator('a.name').innerText();
  await first.hover();
  daemon.create({ name: 'came under a pointer' });
  await page.getByRole('button', { name: /Show \d+ new task/ }).waitFor();
  assert.equal(await first.locator('a.name').innerText(), name);
  // It comes once the pointer has left, or where it is asked for.
  await page.mouse.move(5, 5);
  await page.locator('a.name', { hasText: 'came under a pointer' }).waitFor();
  visitor.check();
  await visitor.close();
});

test('ten thousand tasks', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  const template = daemon.api('GET', 'tasks').tasks[0];
  const many = Array.from({ length: 10_000 }, (_, number) => ({ ...template, id: `01${String(number).padStart(24, '0')}`, name: `task ${number}`, state: 'completed' }));
  await page.route(/\/api\/v1\/tasks\?/, (route) => {
    const search = new URL(route.request().url()).searchParams;
    const from = Number(search.get('cursor') ?? 0);
    const to = from + Number(search.get('limit'));
    route.fulfill({ json: { tasks: many.slice(from, to), next_cursor: to < many.length ? String(to) : null } });
  });
  await page.reload();
  await page.getByText('10,000 tasks').waitFor();
  // No frame takes longer than what an eye takes for a hitch, while it is filtered and scrolled.
  await page.evaluate(() => {
    /** @type {any} */ (window).longest = 0;
    let last = performance.now();
    const frame = (/** @type {number} */ now) => {
      /** @type {any} */ (window).longest = Math.max(/** @type {any} */ (window).longest, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  await page.getByRole('searchbox').fill('task 777');
  await page.getByText('11 of 10,000 tasks').waitFor();
  await page.getByRole('searchbox').fill('');
  for (let step = 0; step < 20; step += 1) {
    await page.mouse.wheel(0, 3000);
    await page.waitForTimeout(30);
  }
  const rows = await page.locator('table.tasks tbody tr').count();
  assert.ok(rows > 100 && rows < 3000, `${rows} rows`);
  const longest = await page.evaluate(() => /** @type {any} */ (window).longest);
  // This is no measurement: a machine under load is slower, and a page that makes all rows at once takes seconds.
  assert.ok(longest < 1500, `a frame took ${longest} ms`);
  visitor.check();
  await visitor.close();
});
