// The ways in: a token over TLS becomes a session, which ends where it should; roles are offered what they may.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon } from './lab.mjs';

/** @type {Daemon} */
let daemon;

before(async () => {
  daemon = await new Daemon().start();
  daemon.create({ name: 'somebody else’s' });
});

after(async () => {
  await stop();
  await daemon?.remove();
});

/** @param {Visitor} visitor @param {string} token */
async function login(visitor, token) {
  await visitor.page.getByLabel('Token').fill(token);
  await visitor.page.keyboard.press('Enter');
}

test('a token becomes a session, and a wrong one does not', async () => {
  const visitor = await Visitor.at(daemon.url);
  const { page } = visitor;
  await page.getByLabel('Token').waitFor();
  await visitor.accessible('login');
  visitor.check('login');
  // The browser says of the refusal that it was one.
  visitor.expected.push(/401/);
  await login(visitor, 'cap_wrong');
  await page.getByText('This token is not known, or it has ended.').waitFor();
  visitor.expected = [];
  await login(visitor, daemon.token('operator'));
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  await page.locator('a.name', { hasText: 'somebody else' }).waitFor();
  const cookies = await visitor.context.cookies();
  const [cookie] = cookies;
  assert.equal(cookies.length, 1);
  assert.ok(cookie.name.startsWith('__Host-') && cookie.httpOnly && cookie.secure && cookie.sameSite === 'Strict', JSON.stringify(cookie));
  // It is still there after a reload, and gone after the end.
  await page.reload();
  await page.locator('a.name', { hasText: 'somebody else' }).waitFor();
  await page.getByRole('button', { name: /You, language and theme/ }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  assert.deepEqual(await visitor.context.cookies(), []);
  visitor.check();
  await visitor.close();
});

test('a session ends with its token', async () => {
  const visitor = await Visitor.at(daemon.url);
  // The stream of events is cut.
  visitor.expected.push(/ERR_/);
  const token = daemon.token('operator');
  await login(visitor, token);
  await visitor.page.locator('a.name').first().waitFor();
  const { tokens } = daemon.api('GET', 'tokens');
  const newest = tokens.toSorted((/** @type {any} */ a, /** @type {any} */ b) => (a.id < b.id ? 1 : -1))[0];
  daemon.api('DELETE', `tokens/${newest.id}`);
  await visitor.page.getByLabel('Token').waitFor();
  visitor.check();
  await visitor.close();
});

test('a viewer is offered nothing but to look', async () => {
  const visitor = await Visitor.at(daemon.url);
  await login(visitor, daemon.token('viewer'));
  const { page } = visitor;
  await page.locator('a.name').first().waitFor();
  for (const name of ['Create packet capture task', 'Audit', 'Access', 'Health']) {
    assert.equal(await page.getByRole('link', { name }).count(), 0, name);
  }
  await page.getByRole('button', { name: /^Actions for/ }).click();
  for (const name of ['Stop', 'Delete', 'Download', 'Packets', 'Findings', 'Run again']) {
    assert.equal(await page.getByRole('menuitem', { name, exact: true }).count(), 0, name);
  }
  visitor.check();
  await visitor.close();
});

test('a page of another origin cannot use a session', async () => {
  const visitor = await Visitor.at(daemon.url);
  await login(visitor, daemon.token('operator'));
  await visitor.page.locator('a.name').first().waitFor();
  const before = daemon.api('GET', 'tasks').tasks.length;
  // The same host under another name is another origin, and the browser sends what it may.
  const foreign = await visitor.context.newPage();
  await foreign.goto(daemon.url.replace('localhost', '127.0.0.1'));
  const target = `${daemon.url}api/v1/tasks`;
  const outcome = await foreign.evaluate(async (url) => {
    const answers = [];
    for (const init of [{ method: 'GET' }, { method: 'POST', body: '{"name":"foreign","interfaces":["lo"]}', headers: { 'content-type': 'text/plain' } }]) {
      try {
        answers.push((await fetch(url, { ...init, credentials: 'include', mode: 'no-cors' })).status);
      } catch (error) {
        answers.push(String(error));
      }
    }
    return answers;
  }, target);
  assert.ok(outcome.every((one) => one !== 200 && one !== 201), JSON.stringify(outcome));
  assert.equal(daemon.api('GET', 'tasks').tasks.length, before);
  await visitor.close();
});
