// Pictures of the console for the documents, into the directory that is named: `cargo xtask browser --pictures`.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Visitor, stop } from './browser.mjs';
import { Daemon, HOST, INTERFACE, eventually, fail, onPeer, pings, server } from './lab.mjs';

const directory = process.argv[2] ?? fail('where?');

const daemon = await new Daemon().start();
const checkout = JSON.stringify({ order: 4711, state: 'paid' });
const json = { 'Content-Type': 'application/json' };
let listening = await server(8080, checkout, json);
const client = onPeer('sh', ['-c', `while :; do curl -s -o /dev/null http://${HOST}:8080/checkout/4711; sleep .05; done`]);
const traffic = pings(100);
const refused = onPeer('sh', ['-c', `while :; do curl -s -o /dev/null http://${HOST}:5432/; sleep .5; done`]);
for (const [role, name] of [['operator', 'on-call'], ['viewer', 'dashboard']]) daemon.token(role, name);

const quick = daemon.create({ name: 'checkout, last week', protocol: 'tcp', ip: HOST, ports: [8080], max_packets: 1200 });
const short = daemon.create({ name: 'database refuses', protocol: 'tcp', ip: HOST, ports: [5432], max_packets: 24 });
await daemon.reaches(quick.id, 'completed');
await daemon.reaches(short.id, 'completed');
listening.closeAllConnections();
listening.close();
listening = await server(8080, checkout, json, 900);
const done = daemon.create({ name: 'checkout is slow', protocol: 'tcp', ip: HOST, ports: [8080], max_packets: 600 });
const live = daemon.create({ name: 'checkout, live', protocol: 'tcp', ip: HOST, ports: [8080], max_bytes: 256, duration: 1800 });
daemon.create({ name: 'ping from the peer', protocol: 'icmp', ip: HOST, duration: 1200 });
daemon.create({ name: 'after the deployment', interfaces: ['any'], protocol: 'udp', ports: [53], start_at: new Date(Date.now() + 3600e3).toISOString() });
await eventually('the slow checkout', () => daemon.api('GET', `tasks/${done.id}`).state === 'completed', 180_000);
await eventually('findings', () => daemon.api('GET', `tasks/${short.id}/findings`).findings);
const shared = daemon.api('POST', `tasks/${short.id}/shares`, { expires_in: 3600, findings: true, packets: 'headers', anonymise: true });

const url = await daemon.socketUrl();

/**
 * @param {string} name
 * @param {string} place
 * @param {Parameters<typeof Visitor.at>[1]} options
 * @param {(page: import('playwright-core').Page) => Promise<unknown>} ready
 */
async function picture(name, place, options, ready) {
  const visitor = await Visitor.at(`${url}${place}`, options);
  await ready(visitor.page);
  // Rates and charts want some seconds.
  await sleep(6000);
  await visitor.page.screenshot({ path: path.join(directory, `${name}.png`) });
  await visitor.close();
}

const wide = { width: 1280, height: 760 };
const narrow = { width: 390, height: 760 };
const form = `#/new?name=checkout+is+slow&protocol=tcp&address_type=ip&ip=${HOST}&ports=8080&duration=600&max_bytes=256&interfaces=${INTERFACE}`;
/** @param {string} text */
const shows = (text) => (/** @type {import('playwright-core').Page} */ page) => page.getByText(text).first().waitFor();
await picture('tasks', '#/tasks', wide, shows('checkout, live'));
await picture('create', form, wide, async (page) => {
  await page.getByRole('button', { name: /Probe/ }).click();
  await page.getByText(/at this rate/).waitFor();
});
await picture('task', `#/tasks/${live.id}`, { ...wide, theme: 'dark' }, shows('checkout, live'));
await picture('packets', `#/tasks/${done.id}/packets?filter=http`, wide, async (page) => {
  await page.getByRole('row').filter({ hasText: 'GET /checkout' }).first().click();
  await page.getByRole('tree').getByText('Hypertext Transfer Protocol').click();
});
await picture('stream', `#/tasks/${done.id}/packets?filter=http`, { ...wide, theme: 'dark' }, async (page) => {
  await page.getByRole('row').filter({ hasText: 'GET /checkout' }).first().click();
  await page.getByRole('button', { name: 'Follow' }).first().click();
  await page.getByText('GET /checkout/4711 HTTP/1.1').last().waitFor();
});
await picture('conversations', `#/tasks/${done.id}/conversations`, wide, shows('8080'));
await picture('findings', `#/tasks/${short.id}/findings`, wide, shows('refuse'));
await picture('compare', `#/compare?task=${done.id}&baseline=${quick.id}`, wide, (page) => page.getByRole('heading', { name: 'New', exact: true }).waitFor());
await picture('share', new URL(shared.url, url).href.slice(url.length), { ...wide, language: 'zh-CN' }, (page) => page.locator('.pk-row:not([data-wait])').first().waitFor());
await picture('interfaces', '#/interfaces', { ...wide, theme: 'dark' }, shows(INTERFACE));
await picture('storage', '#/storage', wide, shows('Captures'));
await picture('access', '#/access', wide, shows('on-call'));
await picture('audit', '#/audit', { ...wide, theme: 'dark' }, async (page) => {
  await page.getByRole('button', { name: 'Verify the log' }).click();
  await page.getByText('The log is whole').waitFor();
});
await picture('health', '#/health', { ...wide, language: 'de' }, async (page) => {
  await page.locator('.checks li').first().waitFor();
  // The kernel of who takes the picture is nobody's business.
  await page.locator('.checks li').first().evaluate((line) => {
    for (const part of line.querySelectorAll('div')) if (part.childElementCount === 0) part.textContent = (part.textContent ?? '').replace(/^(\d+\.\d+)\.\S+:/, '$1:');
  });
});
await picture('tasks-narrow', '#/tasks', { ...narrow, theme: 'dark', language: 'de' }, shows('checkout, live'));
await picture('task-narrow', `#/tasks/${done.id}`, { ...narrow, language: 'zh-CN' }, shows('checkout is slow'));
await picture('packets-narrow', `#/tasks/${done.id}/packets?filter=http`, { ...narrow, theme: 'dark' }, (page) => page.locator('.pk-row:not([data-wait])').first().waitFor());
await picture('findings-narrow', `#/tasks/${short.id}/findings`, { ...narrow, language: 'de' }, shows('refuse'));

const login = await Visitor.at(daemon.url, { ...narrow, language: 'zh-CN' });
await login.page.locator('input[type=password]').waitFor();
await login.page.screenshot({ path: path.join(directory, 'login.png') });
await login.close();

for (const child of [client, traffic, refused]) child.kill();
listening.closeAllConnections();
listening.close();
await stop();
await daemon.remove();
process.exit(0);
