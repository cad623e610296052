// The form of a new task and the page of a task: faults stand at their fields with what was meant, a form is a link, and
// a task says what became of it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon, HOST, INTERFACE, pings } from './lab.mjs';

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

/** @param {Visitor} visitor @param {string} place */
async function goTo(visitor, place) {
  await visitor.go(place);
  await visitor.page.locator('main .page > *').first().waitFor();
}

test('a fault stands at its field, with what was meant', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  await goTo(visitor, '#/new?address_type=ip');
  // The address is missing, but nobody has touched that field.
  await page.getByText('Some fields are still empty.').waitFor();
  assert.equal(await page.locator('.fault').count(), 0);
  const ip = page.getByLabel('IP', { exact: true }).and(page.locator('input[type=text]'));
  const ports = page.getByLabel('Ports', { exact: true });
  await ports.fill('443, 9-1');
  await page.locator('.field-ports .fault', { hasText: '9-1' }).waitFor();
  assert.equal(await ports.getAttribute('aria-invalid'), 'true');
  await page.getByRole('button', { name: 'Use 1-9' }).click();
  assert.equal(await ports.inputValue(), '443, 1-9');
  await ip.fill(`${HOST}:8443`);
  await page.locator('.field-ip').getByRole('button', { name: `Use ${HOST}` }).click();
  assert.equal(await ip.inputValue(), HOST);
  assert.equal(await ports.inputValue(), '8443');
  await page.getByText('Starts at once.').waitFor();
  assert.equal(await page.locator('.fault').count(), 0);
  visitor.check();
  await visitor.close();
});

test('a side has several addresses', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  await goTo(visitor, `#/new?name=several&address_type=ip&interfaces=${INTERFACE}`);
  const ip = page.getByLabel('IP', { exact: true }).and(page.locator('input[type=text]'));
  await ip.fill(`${HOST} 10.1.0.9 - 10.1.0.8，2001:db8::5, host`);
  await page.locator('.field-ip .fault', { hasText: '“host” is a name' }).waitFor();
  assert.equal(await page.locator('.field-ip p.fault').count(), 2);
  await page.locator('.field-ip').getByRole('button', { name: 'Use 10.1.0.8-10.1.0.9' }).click();
  assert.equal(await ip.inputValue(), `${HOST} 10.1.0.8-10.1.0.9，2001:db8::5, host`);
  await ip.fill(`${HOST} 10.1.0.8 - 10.1.0.9，2001:db8::5, ${HOST}`);
  await page.getByText('Starts at once.').waitFor();
  assert.equal(await page.locator('.fault').count(), 0);
  await page.keyboard.press('Control+Enter');
  await page.getByRole('heading', { name: 'several' }).waitFor();
  const id = (await page.evaluate(() => location.hash)).split('/')[2];
  const { spec } = daemon.api('GET', `tasks/${id}`);
  assert.deepEqual(spec.ip, [HOST, '10.1.0.8/31', '2001:db8::5']);
  await page.locator('.filter-text', { hasText: `${HOST}, 10.1.0.8/31, 2001:db8::5` }).waitFor();
  await page.getByRole('button', { name: 'Edit and run' }).click();
  assert.equal(await ip.inputValue(), `${HOST}, 10.1.0.8/31, 2001:db8::5`);
  daemon.api('POST', `tasks/${id}/stop`, {});
  visitor.check();
  await visitor.close();
});

test('a form is a link', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  await goTo(visitor, `#/new?ip=${HOST}&port=53&protocol=udp&interfaces=${INTERFACE}&max_bytes=96&oversize=discard&rotate_bytes=1MB&rotate_files=3`);
  await page.getByText('Starts at once.').waitFor();
  await page.getByLabel('Task Name').fill('a name');
  await page.waitForFunction(() => location.hash.includes('name=a+name'));
  const query = new URLSearchParams((await page.evaluate(() => location.hash)).split('?')[1]);
  assert.deepEqual(Object.fromEntries(query), { name: 'a name', max_bytes: '96', oversize: 'discard', protocol: 'udp', address_type: 'ip', ip: HOST, ports: '53', interfaces: INTERFACE, rotate_bytes: '1MB', rotate_files: '3' });
  await page.reload();
  await page.getByText('Starts at once.').waitFor();
  await page.keyboard.press('Control+Enter');
  await page.getByRole('heading', { name: 'a name' }).waitFor();
  const id = (await page.evaluate(() => location.hash)).split('/')[2];
  const { spec } = daemon.api('GET', `tasks/${id}`);
  for (const [field, value] of Object.entries({ name: 'a name', ip: HOST, ports: [53], protocol: 'udp', interfaces: [INTERFACE], max_bytes: 96, oversize: 'discard' })) assert.deepEqual(spec[field], value, field);
  assert.equal(Number(spec.rotate.files), 3);
  daemon.api('POST', `tasks/${id}/stop`, {});
  await daemon.reaches(id, 'completed');
  await page.getByText('No packet matched.').waitFor();
  visitor.check();
  await visitor.close();
});

test('a task says what became of it', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  const traffic = pings(50);
  const { id } = daemon.create({ name: 'one sentence', protocol: 'icmp', max_packets: 150 });
  await goTo(visitor, `#/tasks/${id}`);
  await page.getByRole('progressbar').waitFor();
  await page.getByText(/^Complete: 150 packets, none lost\.$/).waitFor();
  traffic.kill();
  await page.getByRole('progressbar').waitFor({ state: 'hidden' });
  const row = page.locator('.accounts tr', { hasText: 'Captured' });
  assert.match(await row.innerText(), /150\s+100%/);
  const [file] = (await daemon.reaches(id, 'completed')).files;
  await page.getByText(`${file.sha256}  ${file.name}`).waitFor();
  await page.locator('.history', { hasText: 'Capture began' }).waitFor();
  await page.getByRole('button', { name: 'Edit and run' }).click();
  assert.equal(await page.getByLabel('Task Name').inputValue(), 'one sentence');
  await page.goBack();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
  await page.waitForFunction(() => location.hash === '#/tasks');
  assert.equal(daemon.api('GET', `tasks/${id}`).status, 404);
  visitor.check();
  await visitor.close();
});

test('a viewer is offered nothing that a viewer may not do', async () => {
  const { id } = daemon.create({ name: 'only to look at' });
  const visitor = await Visitor.at(daemon.url);
  const { page } = visitor;
  await page.getByLabel('Token').fill(daemon.token('viewer'));
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  await goTo(visitor, '#/new');
  await page.getByText('You may not create tasks').waitFor();
  await goTo(visitor, `#/tasks/${id}`);
  await page.getByRole('heading', { name: 'only to look at' }).waitFor();
  for (const name of ['Stop', 'Run again', 'Edit and run', 'Download', 'Share', 'Delete']) assert.equal(await page.getByRole('button', { name, exact: true }).count(), 0, name);
  assert.equal(await page.getByRole('link', { name: 'Findings' }).count(), 0);
  visitor.check();
  await visitor.close();
});

test('an answer that comes after its event is old', async () => {
  const visitor = await Visitor.at(url);
  const { page } = visitor;
  await page.route(/\/api\/v1\/tasks$/, async (route) => {
    const response = await route.fetch();
    // The task runs by now, and the page was told.
    await page.waitForTimeout(1500);
    await route.fulfill({ response });
  });
  await goTo(visitor, '#/new?name=late+answer');
  await page.getByText('Starts at once.').waitFor();
  await page.getByRole('button', { name: 'Start capture' }).click();
  await page.getByRole('heading', { name: 'late answer' }).waitFor();
  await page.getByText(/Running: [\d,]+ packets? so far/).waitFor();
  visitor.check();
  await visitor.close();
});
