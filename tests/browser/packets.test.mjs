// The packet view: rows that stay while packets come, filters, fields and bytes, marks, and what is copied and saved; by
// the daemon's own packets, and by keys alone where there are keys.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon, HOST, eventually, onPeer, pings, run, server } from './lab.mjs';

const PORT = 8081;

/** @type {Daemon} */
let daemon;
/** @type {string} */
let url;
/** A task that has ended: HTTP and pings. @type {any} */
let done;

before(async () => {
  daemon = await new Daemon().start();
  url = await daemon.socketUrl();
  const listening = await server(PORT, 'an answer\n'.repeat(400));
  done = daemon.create({ name: 'packets that are looked at' });
  await daemon.reaches(done.id, 'running');
  const traffic = pings(50);
  for (let time = 0; time < 3; time += 1) {
    const asking = onPeer('curl', ['-s', '-o', '/dev/null', `http://${HOST}:${PORT}/item/${time}`]);
    await new Promise((resolve) => asking.once('exit', resolve));
  }
  await eventually('packets', () => daemon.api('GET', `tasks/${done.id}`).counters.captured > 150);
  traffic.kill();
  daemon.api('POST', `tasks/${done.id}/stop`, {});
  done = await daemon.reaches(done.id, 'completed');
  listening.closeAllConnections();
  listening.close();
});

after(async () => {
  await stop();
  await daemon?.remove();
});

/** Rows in sight, from above: their position, and all that they say. @param {import('playwright-core').Page} page */
function rows(page) {
  return page.evaluate(() => [...document.querySelectorAll('.pk-row')].filter((row) => !row.hasAttribute('hidden'))
    .map((row) => ({ position: Number(row.getAttribute('aria-rowindex')) - 2, top: row.getBoundingClientRect().top, text: row.textContent ?? '', waits: row.hasAttribute('data-wait') }))
    .sort((a, b) => a.position - b.position));
}

/** Position of the row that is chosen. @param {import('playwright-core').Page} page */
function chosen(page) {
  return page.evaluate(() => Number(document.querySelector('.pk-row[aria-selected=true]')?.getAttribute('aria-rowindex') ?? 1) - 2);
}

/** The first packet that passes a filter, and how many do, once all were looked at. @param {string} filter */
function passing(filter) {
  return eventually('the filter', () => {
    const answer = daemon.api('GET', `tasks/${done.id}/packets?limit=1&filter=${encodeURIComponent(filter)}`);
    return answer.complete && answer;
  });
}

test('a running task is followed, and stays where one looks', async () => {
  const traffic = pings(100);
  const task = daemon.create({ name: 'seen live', protocol: 'icmp' });
  await daemon.reaches(task.id, 'running');
  const visitor = await Visitor.at(`${url}#/tasks/${task.id}/packets`);
  const { page } = visitor;
  await page.getByText('follows the newest').waitFor();
  const first = await eventually('a full list', async () => {
    const shown = await rows(page);
    return shown.length > 20 && shown.every(({ waits }) => !waits) && shown;
  });
  await eventually('newer rows', async () => (await rows(page)).at(-1)?.position > first.at(-1).position);

  // Scrolled back, nothing moves, and what came since is counted.
  await page.mouse.move(600, 400);
  await page.mouse.wheel(0, -240);
  await page.getByText('held; more packets come below').waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll('.pk-row:not([hidden])')].every((row) => !row.hasAttribute('data-wait')));
  const held = await rows(page);
  const pill = page.locator('.pk-pill');
  await pill.filter({ hasText: /^\d+ new$/ }).waitFor();
  await eventually('more of them', async () => Number((await pill.textContent())?.replace(/\D/g, '')) > 100);
  assert.deepEqual(await rows(page), held);

  // The pill leads to the newest; a chosen row holds again.
  await pill.click();
  await page.getByText('follows the newest').waitFor();
  await page.locator('.pk-row[aria-rowindex]').nth(5).click();
  await page.getByRole('tree').getByText('Internet Control Message Protocol').waitFor();
  const selected = await chosen(page);
  await pill.filter({ hasText: /^\d+ new$/ }).waitFor();
  assert.equal(await chosen(page), selected);
  traffic.kill();
  daemon.api('POST', `tasks/${task.id}/stop`, {});
  await daemon.reaches(task.id, 'completed');
  await eventually('its end', async () => !(await page.getByText(/held; more/).isVisible()));
  visitor.check();
  await visitor.close();
});

test('conversations of a running task are kept up to date', async () => {
  const listening = await server(PORT, 'an answer\n');
  const ask = async () => {
    const asking = onPeer('curl', ['-s', '-o', '/dev/null', `http://${HOST}:${PORT}/talk`]);
    await new Promise((resolve) => asking.once('exit', resolve));
  };
  const task = daemon.create({ name: 'talks live', protocol: 'tcp', ports: [PORT] });
  await daemon.reaches(task.id, 'running');
  await ask();
  const visitor = await Visitor.at(`${url}#/tasks/${task.id}/conversations`);
  const { page } = visitor;
  const talks = page.locator('.talks tbody tr');
  await talks.first().waitFor();
  await talks.first().getByRole('link').focus();
  await ask();
  await eventually('the second conversation', async () => (await talks.count()) === 2);
  // What is looked at stays where it is, and keeps the focus.
  assert.equal(await page.evaluate(() => document.activeElement?.closest('tr')?.rowIndex), 1);
  await ask();
  daemon.api('POST', `tasks/${task.id}/stop`, {});
  await daemon.reaches(task.id, 'completed');
  await eventually('the last conversation', async () => (await talks.count()) === 3);
  listening.closeAllConnections();
  listening.close();
  visitor.check();
  await visitor.close();
});

test('by keys alone: rows, fields, bytes, marks, comments, numbers', async () => {
  const visitor = await Visitor.at(`${url}#/tasks/${done.id}/packets`);
  const { page } = visitor;
  const { keyboard } = page;
  await page.locator('.pk-row:not([data-wait])').first().waitFor();
  await keyboard.press('End');
  await eventually('the last row', async () => (await chosen(page)) === done.counters.captured - 1);
  await keyboard.press('Home');
  await eventually('the first row', async () => (await chosen(page)) === 0);
  await keyboard.press('j');
  await keyboard.press('ArrowDown');
  await keyboard.press('k');
  await eventually('the second row', async () => (await chosen(page)) === 1);
  assert.match(await page.evaluate(() => location.hash), /n=2\b/);
  await keyboard.press('g');
  await keyboard.type('100');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Packet 100' }).waitFor();

  // A field marks its bytes, and a byte its field.
  await keyboard.press('Enter');
  await eventually('the tree', () => page.evaluate(() => document.activeElement?.getAttribute('role') === 'treeitem'));
  await keyboard.press('ArrowDown');
  await eventually('marked bytes', () => page.evaluate(() => document.querySelectorAll('.byte-field').length > 0));
  await page.locator('.bytes').focus();
  await keyboard.press('Control+Home');
  await keyboard.press('ArrowRight');
  const status = page.locator('.bytes [role=status]');
  await eventually('the byte in words', async () => /^Byte 1: [0-9a-f]{2}, Destination/.test((await status.textContent()) ?? ''));

  // A comment and a mark are seen, and go into what is exported.
  await page.getByRole('grid').focus();
  await keyboard.press('m');
  await page.locator('.pk-row[data-marked]').waitFor();
  await keyboard.press('c');
  await page.getByRole('dialog').getByRole('textbox').waitFor();
  await keyboard.type('<b>here</b> it began');
  await keyboard.press('Tab');
  await keyboard.press('Tab');
  await keyboard.press('Enter');
  await page.locator('.detail-comment').getByText('<b>here</b> it began').waitFor();
  const note = daemon.api('GET', `tasks/${done.id}/notes`).notes[0];
  assert.deepEqual([note.number, note.marked, note.comment], [100, true, '<b>here</b> it began']);

  // Esc goes back, step by step.
  await keyboard.press('Escape');
  await page.locator('.detail').waitFor({ state: 'hidden' });
  await keyboard.press('Escape');
  await page.getByRole('heading', { name: done.name }).waitFor();
  assert.match(await page.evaluate(() => location.hash), /^#\/tasks\/\w+$/);
  visitor.check();
  await visitor.close();
});

test('a filter is completed, judged where it is wrong, made from a cell, and kept in the address', async () => {
  const visitor = await Visitor.at(`${url}#/tasks/${done.id}/packets`);
  const { page } = visitor;
  const box = page.getByRole('combobox', { name: 'Display filter' });
  await page.locator('.pk-row:not([data-wait])').first().waitFor();
  await box.pressSequentially('tcp.srcp');
  await page.getByRole('option', { name: /tcp\.srcport/ }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await box.inputValue(), 'tcp.srcport');
  await box.pressSequentially(` == ${PORT} and nonsense == 1`);
  await page.keyboard.press('Enter');
  await page.getByText('The filter cannot be used').waitFor();
  assert.equal(await page.locator('.filter-marks u').textContent(), 'nonsense');
  await box.fill(`tcp.srcport == ${PORT}`);
  await page.keyboard.press('Enter');
  const figures = page.getByText(/^\d+ of \d+ packets shown/);
  await figures.waitFor();
  await page.locator('.pk-progress').waitFor({ state: 'hidden' });
  const matched = Number(/^\d+/.exec((await figures.textContent()) ?? '')?.[0]);
  assert.equal(matched, (await passing(`tcp.srcport == ${PORT}`)).matched);

  // From the menu of a cell, joined to what is there; Back takes it away again.
  await page.locator('.pk-row .pk-destination').first().click({ button: 'right' });
  await page.getByRole('menuitem', { name: '… and not this' }).click();
  await page.getByText('No packet passes the filter').waitFor();
  assert.match(await box.inputValue(), new RegExp(`^tcp\\.srcport == ${PORT} and not ip\\.dst == [0-9.]+$`));
  await page.goBack();
  await figures.waitFor();

  // What is shown is what is saved.
  await page.getByRole('button', { name: 'Download', exact: true }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: /^The packets shown/ }).click()]);
  const lines = run('tshark', ['-n', '-r', await download.path(), '-T', 'fields', '-e', 'tcp.srcport']).trim().split('\n');
  assert.equal(lines.length, matched);
  assert.ok(lines.every((port) => port === String(PORT)), lines[0]);
  visitor.check();
  await visitor.close();
});

test('Tab completes what is typed now, though its answer is not there yet', async () => {
  const visitor = await Visitor.at(`${url}#/tasks/${done.id}/packets`);
  const { page } = visitor;
  const box = page.getByRole('combobox', { name: 'Display filter' });
  await page.locator('.pk-row:not([data-wait])').first().waitFor();
  await box.pressSequentially('tcp.flags');
  await page.getByRole('option', { name: /tcp\.flags\.syn/ }).waitFor();
  let isOpen = () => {};
  const opened = new Promise((resolve) => { isOpen = () => resolve(undefined); });
  await page.route(/\/filter\/fields\?/, async (route) => { await opened; await route.continue(); });
  await box.pressSequentially('.sy');
  await page.keyboard.press('Tab');
  assert.equal(await box.inputValue(), 'tcp.flags.syn');
  await box.pressSequentially(' == 1');
  await box.pressSequentially(' and ip.nothing');
  await page.keyboard.press('Tab');
  assert.equal(await box.inputValue(), 'tcp.flags.syn == 1 and ip.nothing');
  isOpen();
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  visitor.check();
  await visitor.close();
});

test('a link cites a packet, with its filter, columns and stream', async () => {
  const filter = 'http.response.code == 200';
  const [row] = (await passing(filter)).rows;
  const visitor = await Visitor.at(`${url}#/tasks/${done.id}/packets?filter=${encodeURIComponent(filter)}&n=${row.number}&columns=ip.ttl,http.server&stream=server`);
  const { page } = visitor;
  const dialog = page.getByRole('dialog');
  await dialog.getByText('an answer').first().waitFor();
  assert.equal(await dialog.getByText(/GET \/item/).count(), 0, 'the client is not shown');
  await dialog.getByRole('button', { name: 'Both' }).click();
  await dialog.getByText(/GET \/item/).first().waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('link', { name: 'Save raw bytes' }).click()]);
  assert.match(fs.readFileSync(await download.path(), 'latin1'), /^GET \/item[\s\S]*HTTP\/1\.1 200 OK[\s\S]*an answer\n$/);
  await page.keyboard.press('Escape');
  await page.getByRole('columnheader', { name: /ip\.ttl/ }).waitFor();
  await page.getByRole('heading', { name: `Packet ${row.number}` }).waitFor();
  assert.equal(await chosen(page), 0);

  // The same by the table of conversations.
  await page.getByRole('link', { name: 'Conversations' }).click();
  await page.getByRole('button', { name: /^Packets/ }).click();
  await page.getByRole('link', { name: /^Packets of .*:8081$/ }).first().click();
  await page.getByText(/^\d+ of \d+ packets shown/).waitFor();
  visitor.check();
  await visitor.close();
});

for (const theme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [360, 768, 1440]) {
    test(`the packet view, ${theme}, ${width} px`, async () => {
      const visitor = await Visitor.at(url, { theme, width });
      const { page } = visitor;
      for (const place of ['packets?n=5', 'packets?filter=http&columns=ip.ttl', 'conversations']) {
        await visitor.go(`#/tasks/${done.id}/${place}`);
        await page.locator(place === 'conversations' ? '.talks tbody tr' : '.pk-row:not([data-wait])').first().waitFor();
        const where = `${place} ${theme} ${width}`;
        await visitor.accessible(where);
        await visitor.fits(where);
        visitor.check(where);
      }
      await visitor.close();
    });
  }
}
