// The whole way of a person, by mouse and by keyboard alone: log in, create a task with a probe, watch live traffic, stop,
// findings, packets, filter, follow, download, compare the digest, share, log out.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon, HOST, eventually, onPeer, server } from './lab.mjs';

const PORT = 8080;

/** @type {Daemon} */
let daemon;
/** @type {import('node:http').Server} */
let listening;
/** @type {import('node:child_process').ChildProcess} */
let client;

before(async () => {
  daemon = await new Daemon().start();
  listening = await server(PORT, 'hello from the other side\n');
  // A request four times a second.
  client = onPeer('sh', ['-c', `while :; do curl -s -o /dev/null http://${HOST}:${PORT}/greeting; sleep .25; done`]);
});

after(async () => {
  client?.kill();
  listening?.closeAllConnections();
  listening?.close();
  await stop();
  await daemon?.remove();
});

/** @param {string} file */
function digest(file) {
  return crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

test('the whole way by mouse', async () => {
  const visitor = await Visitor.at(daemon.url);
  const { page } = visitor;
  await page.getByLabel('Token').fill(daemon.token('operator'));
  await page.getByRole('button', { name: 'Sign in' }).click();

  // Create, with a probe.
  await page.getByRole('link', { name: 'Create packet capture task' }).click();
  await page.getByLabel('Task Name').fill('journey by mouse');
  await page.getByLabel('Duration (s)').fill('300');
  await page.getByRole('radio', { name: 'TCP' }).check();
  await page.getByRole('radio', { name: 'IP', exact: true }).check();
  await page.getByRole('combobox', { name: 'IP', exact: true }).fill(HOST);
  await page.getByRole('combobox', { name: 'Ports', exact: true }).fill('99999');
  await page.locator('.fault', { hasText: '99999' }).first().waitFor();
  await page.getByRole('combobox', { name: 'Ports', exact: true }).fill(String(PORT));
  await page.getByText(`host ${HOST}`).first().waitFor();
  await page.getByRole('button', { name: 'Probe for 3 s' }).click();
  await page.getByText(/packets passed in/).waitFor();
  await page.getByText(/at this rate/).waitFor();
  await page.getByRole('button', { name: 'Start capture' }).click();

  // Live: packets are counted, and then shown.
  await page.getByRole('heading', { name: 'journey by mouse' }).waitFor();
  const id = (await page.evaluate(() => location.hash)).split('/')[2];
  await page.getByText(/Running: [1-9][\d,]* packets so far/).waitFor();
  await page.getByRole('link', { name: 'Packets', exact: true }).click();
  await page.getByRole('row').filter({ hasText: 'GET /greeting' }).first().waitFor();
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByText(/Complete: \d+ packets, none lost/).waitFor();

  // What was found, and what was seen.
  await page.getByRole('link', { name: 'Findings', exact: true }).first().click();
  await page.getByText(/Nothing found to be wrong|Nothing serious|\d+ warnings?/).first().waitFor();
  await page.getByRole('link', { name: 'Packets', exact: true }).first().click();
  await page.getByRole('combobox', { name: 'Display filter' }).fill('http.request.method');
  await page.keyboard.press('Enter');
  await page.getByText(/of \d+ packets shown/).waitFor();
  const request = page.getByRole('row').filter({ hasText: 'GET /greeting' }).first();
  await request.click();
  await page.getByRole('tree').getByText('Hypertext Transfer Protocol').waitFor();
  await page.getByRole('button', { name: 'Follow the stream' }).click();
  await page.getByRole('dialog').getByText('hello from the other side').waitFor();
  await page.keyboard.press('Escape');

  // The file is that of the API, byte for byte.
  await page.getByRole('link', { name: 'Overview' }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: /^Download/ }).first().click()]);
  const file = daemon.api('GET', `tasks/${id}`).files[0];
  assert.equal(digest(await download.path()), file.sha256);
  await page.getByText(file.sha256).first().waitFor();

  // A link shows it to who has no token.
  await page.getByRole('button', { name: 'Share' }).click();
  await page.getByRole('button', { name: 'Make a link' }).click();
  const link = await eventually('the link', async () => /https:\S+#\/share\/\S+/.exec(await page.getByRole('dialog').innerText())?.[0]);
  const guest = await Visitor.at(link);
  await guest.page.getByText(/Complete: \d+ packets, none lost/).waitFor();
  guest.check('share');
  await guest.close();
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: /You, language and theme/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  visitor.check();
  await visitor.close();
});

test('the whole way by keyboard', async () => {
  const visitor = await Visitor.at(daemon.url);
  const { page } = visitor;
  const { keyboard } = page;
  await page.getByLabel('Token').waitFor();
  await keyboard.type(daemon.token('operator'));
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();

  /** Tabs until what has the focus is named so. @param {RegExp} name */
  const tabTo = async (name) => {
    for (let step = 0; step < 150; step += 1) {
      const found = await page.evaluate(() => {
        const at = /** @type {any} */ (document.activeElement);
        if (at === document.body) return '';
        return [at?.labels?.[0]?.textContent, at?.getAttribute('aria-label'), at?.textContent].filter(Boolean).map((text) => text.trim()).join('\n');
      });
      if (found.split('\n').some((text) => name.test(text))) return;
      await keyboard.press('Tab');
    }
    assert.fail(`no ${name} by Tab`);
  };

  await keyboard.press('n');
  await page.getByRole('heading', { name: 'Create Packet Capture Task' }).waitFor();
  await tabTo(/^Task Name/);
  await keyboard.type('journey by keyboard');
  await tabTo(/^Duration/);
  await keyboard.press('Control+A');
  await keyboard.type('300');
  await tabTo(/^All$/);
  await keyboard.press('ArrowRight');
  await tabTo(/^Probe for/);
  await keyboard.press('Enter');
  await page.getByText(/packets passed in/).waitFor();
  await keyboard.press('Control+Enter');
  await page.getByRole('heading', { name: 'journey by keyboard' }).waitFor();
  const id = (await page.evaluate(() => location.hash)).split('/')[2];
  await page.getByText(/Running: [1-9][\d,]* packets so far/).waitFor();

  await keyboard.press('g');
  await keyboard.press('t');
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  await page.locator('a.name', { hasText: 'journey by keyboard' }).waitFor();
  await keyboard.press('j');
  await keyboard.press('s');
  await daemon.reaches(id, 'completed');
  await keyboard.press('Enter');
  await page.getByText(/Complete: \d+ packets, none lost/).waitFor();
  await tabTo(/^Findings$/);
  await keyboard.press('Enter');
  await page.getByText(/Nothing found to be wrong|Nothing serious|\d+ warnings?/).first().waitFor();
  await tabTo(/^Packets$/);
  await keyboard.press('Enter');
  await page.getByRole('grid').waitFor();
  await keyboard.press('/');
  await keyboard.type('http.request.method');
  // Esc closes the completions where they are open, and else leaves the box.
  await keyboard.press('Escape');
  const isLeft = await page.evaluate(() => document.activeElement === document.body);
  if (isLeft) await keyboard.press('/');
  await keyboard.press('Enter');
  await page.getByText(/of \d+ packets shown/).waitFor();
  await tabTo(/^Packets$/);
  await page.getByRole('grid').focus();
  await keyboard.press('j');
  await keyboard.press('Enter');
  await page.getByRole('tree').waitFor();
  await keyboard.press('f');
  await page.getByRole('dialog').getByText('hello from the other side').waitFor();
  await keyboard.press('Escape');

  await keyboard.press('g');
  await keyboard.press('t');
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  await keyboard.press('j');
  const [download] = await Promise.all([page.waitForEvent('download'), keyboard.press('d')]);
  assert.equal(digest(await download.path()), daemon.api('GET', `tasks/${id}`).files[0].sha256);

  await tabTo(/You, language and theme/);
  await keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Sign out' }).waitFor();
  await keyboard.press('End');
  await keyboard.press('Enter');
  await page.getByLabel('Token').waitFor();
  visitor.check();
  await visitor.close();
});

test('hostile packets run nowhere', async () => {
  const markup = '<img src=x onerror=alert(1)>';
  const hostile = await server(PORT + 1, `${markup}\u202e\u0000${'A'.repeat(65_536)}`, { 'X-Note': markup, Server: markup });
  const task = daemon.create({ name: markup, protocol: 'tcp', ports: [PORT + 1] });
  await daemon.reaches(task.id, 'running');
  const asking = onPeer('curl', ['-s', '-o', '/dev/null', '-A', markup, `http://${HOST}:${PORT + 1}/${encodeURI(markup)}?<script>alert(2)</script>`]);
  await new Promise((resolve) => asking.once('exit', resolve));
  await eventually('packets', () => daemon.api('GET', `tasks/${task.id}`).counters.captured > 8);
  daemon.api('POST', `tasks/${task.id}/stop`, {});
  await daemon.reaches(task.id, 'completed');
  hostile.close();
  daemon.api('PUT', `tasks/${task.id}/notes/1`, { marked: true, comment: `${markup}\u202e` });
  const visitor = await Visitor.at(await daemon.socketUrl(), { width: 360 });
  const { page } = visitor;
  page.on('dialog', (dialog) => visitor.faults.push(`dialog: ${dialog.message()}`));
  for (const place of ['', '/findings', '/conversations', '/packets?n=1', '/packets?filter=http&n=4']) {
    await visitor.go(`#/tasks/${task.id}${place}`);
    await visitor.settled(place);
    await visitor.fits(place);
    visitor.check(place);
  }
  await visitor.close();
});
