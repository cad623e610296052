// The page in a real Cockpit, from the files that the package installs: its calls, its stream of events and its downloads
// go through Cockpit's bridge to the daemon's socket.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { start, stop } from './browser.mjs';
import { Daemon, eventually, fail, pings, run } from './lab.mjs';

/** What `cargo xtask` wrote, as it is below `/usr/share`. */
const DATA = process.env.CAPTURE_COCKPIT_DATA ?? fail('CAPTURE_COCKPIT_DATA names the files of the page');

/** Where the page looks for the daemon. */
const SOCKET = '/run/capture-agent/api.sock';

/** @type {Daemon} */
let daemon;
/** @type {import('node:child_process').ChildProcess | null} */
let cockpit = null;
const port = 20_000 + crypto.randomInt(20_000);

before(async () => {
  daemon = await new Daemon().start();
  fs.mkdirSync(path.dirname(SOCKET), { recursive: true });
  run('mount', ['-t', 'tmpfs', 'none', path.dirname(SOCKET)]);
  fs.symlinkSync(daemon.socket, SOCKET);
  const args = ['--no-tls', '--address', '127.0.0.1', '--port', String(port), '--local-session', 'cockpit-bridge'];
  cockpit = spawn('/usr/lib/cockpit/cockpit-ws', args, { stdio: 'ignore', env: { ...process.env, XDG_DATA_HOME: DATA, LC_ALL: 'C.UTF-8' } });
});

after(async () => {
  await stop();
  cockpit?.kill('SIGKILL');
  run('umount', [path.dirname(SOCKET)]);
  await daemon?.remove();
});

/** @param {fs.PathLike} file */
const digest = (file) => crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');

test('from the menu to a download', async () => {
  const browser = await start();
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, locale: 'en' });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  /** @type {string[]} */
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`${message.text()} ${message.location().url}`);
  });
  await eventually('Cockpit', () => page.goto(`http://127.0.0.1:${port}/`));
  await page.getByRole('link', { name: 'Packet capture' }).click();
  const frame = page.frameLocator('iframe[name*="capture-agent"]');
  await frame.getByText('Live', { exact: true }).waitFor();

  // What others do comes by the stream.
  const { id } = daemon.create({ name: 'seen-in-cockpit', protocol: 'icmp' });
  await frame.locator('a.name', { hasText: 'seen-in-cockpit' }).click();
  await daemon.reaches(id, 'running');
  const traffic = pings(20);
  await eventually('packets', () => daemon.api('GET', `tasks/${id}`).counters.captured > 20);
  const go = (/** @type {string} */ hash) => frame.locator('body').evaluate((_, to) => {
    location.hash = to;
  }, hash);
  await go(`#/tasks/${id}/packets`);
  await frame.getByText('10.0.0.2').first().waitFor();
  await go(`#/tasks/${id}`);

  // A call that changes something, with a body.
  await frame.getByRole('button', { name: 'Stop', exact: true }).click();
  traffic.kill();
  const [file] = (await daemon.reaches(id, 'completed')).files;
  const [download] = await Promise.all([page.waitForEvent('download'), frame.getByRole('link', { name: /^Download/ }).first().click()]);
  assert.equal(digest(await download.path()), file.sha256);
  assert.match(download.suggestedFilename(), /\.pcapng$/);

  // A refusal comes with its reason, and the end of the daemon is seen. Cockpit's bridge does not tell of a stream that a kill
  // has cut; its silence is noticed later.
  const refused = await frame.locator('body').evaluate(async (body) => {
    const { call } = await import(String(new URL('js/api.js', body.ownerDocument.baseURI)));
    return call('GET', 'tasks/01M8KTZV402MDG02K9P503W781').catch((/** @type {any} */ error) => [error.name, error.status, error.code]);
  });
  assert.deepEqual(refused, ['Problem', 404, 'not_found']);
  assert.deepEqual(faults, []);
  await daemon.end();
  await frame.getByText('No connection').waitFor();
  await daemon.start();
  await frame.getByText('Live', { exact: true }).waitFor();
  await context.close();
});
