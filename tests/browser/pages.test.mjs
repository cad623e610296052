// Every page in both themes, three widths and three languages: nothing breaks its policy, logs an error, asks anybody
// else, is wider than the window, or is found faulty by axe.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Visitor, stop } from './browser.mjs';
import { Daemon, eventually, pings } from './lab.mjs';

/** @type {Daemon} */
let daemon;
/** @type {string} */
let url;
/** @type {string[]} */
let places;

/** Markup, right-to-left marks, and length: nothing of it may run or break a page. */
const HOSTILE = '<img src=x onerror=alert(1)> "\'&amp;<b>مرحبا שלום '.padEnd(128, 'x');

before(async () => {
  daemon = await new Daemon().start();
  url = await daemon.socketUrl();
  daemon.token('viewer');
  const traffic = pings(50);
  const done = daemon.create({ name: 'checkout latency', protocol: 'icmp', max_packets: 40 });
  daemon.create({ name: [...HOSTILE].slice(0, 128).join(''), protocol: 'tcp', ip: '2001:db8::1234:5678:9abc:def0', ports: [443, '8000-8100'], interfaces: ['any'] });
  const task = await daemon.reaches(done.id, 'completed');
  traffic.kill();
  places = ['#/tasks', '#/interfaces', '#/storage', '#/access', '#/audit', '#/health', '#/nothing', `#/tasks/${task.id}`,
    `#/tasks/${task.id}/findings`, '#/new', '#/new?address_type=ip_pair&ip=10.0.0.5&port=443&peer_ip=10.0.0.9&interfaces=eth0', `#/compare?task=${task.id}`];
});

after(async () => {
  await stop();
  await daemon?.remove();
});

for (const theme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [360, 768, 1440]) {
    test(`every page, ${theme}, ${width} px`, async () => {
      const visitor = await Visitor.at(url, { theme, width });
      for (const place of places) {
        await visitor.go(place);
        await visitor.settled(place);
        const where = `${place} ${theme} ${width}`;
        await visitor.accessible(where);
        await visitor.fits(where);
        visitor.check(where);
      }
      await visitor.close();
    });
  }
}

test('the page of a task loads the view of packets ahead, for those who may see it', async () => {
  const task = /** @type {string} */ (places.find((place) => place.endsWith('/findings'))).replace('/findings', '');
  const hasView = (/** @type {Visitor} */ visitor) => visitor.page.evaluate(() => performance.getEntriesByType('resource').some((entry) => entry.name.endsWith('/js/packets/view.js')));
  const member = await Visitor.at(`${url}${task}`);
  await eventually('the view', () => hasView(member));
  const viewer = await Visitor.at(daemon.url);
  await viewer.page.getByLabel('Token').fill(daemon.token('viewer'));
  await viewer.page.keyboard.press('Enter');
  await viewer.page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  await viewer.go(task);
  await viewer.settled(task);
  await sleep(500);
  assert.equal(await hasView(viewer), false);
  for (const visitor of [member, viewer]) {
    visitor.check(task);
    await visitor.close();
  }
});

test('back at a page before the next one has come shows it again', async () => {
  const task = /** @type {string} */ (places.find((place) => place.endsWith('/findings'))).replace('/findings', '');
  const visitor = await Visitor.at(`${url}${task}/packets`);
  const { page } = visitor;
  await page.locator('.pk-row:not([data-wait])').first().waitFor();
  await page.route('**/pages/task.js', async (route) => {
    await sleep(500);
    await route.continue();
  });
  await visitor.go(task);
  await page.locator('.pk-list').waitFor({ state: 'detached' });
  await visitor.go(`${task}/packets`);
  await sleep(1000);
  await page.locator('.pk-row:not([data-wait])').first().waitFor();
  assert.equal(await page.locator('.page-task').count(), 0);
  visitor.check(task);
  await visitor.close();
});

for (const language of ['zh-CN', 'de']) {
  test(`every page in ${language}`, async () => {
    const visitor = await Visitor.at(url, { language, width: 360 });
    for (const place of places) {
      await visitor.go(place);
      await visitor.settled(place);
      await visitor.fits(`${place} ${language}`);
      visitor.check(`${place} ${language}`);
    }
    await visitor.close();
  });
}

test('a menu takes keys as soon as it is seen', async () => {
  const visitor = await Visitor.at(url);
  await visitor.settled('#/tasks');
  const opener = visitor.page.getByRole('button', { name: /You, language and theme/ });
  for (const [key, first] of /** @type {const} */ ([['End', false], ['ArrowUp', false], ['ArrowDown', true]])) {
    // Pressed before the browser tells that the menu is open; what it tells then takes the focus nowhere else.
    const places = await opener.evaluate(async (button, key) => {
      const place = () => {
        const all = [...document.querySelectorAll('.menu:popover-open .menu-item')];
        return `${all.indexOf(/** @type {Element} */ (document.activeElement)) + 1} of ${all.length}`;
      };
      /** @type {HTMLElement} */ (button).focus();
      /** @type {HTMLElement} */ (button).click();
      button.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
      const before = place();
      await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve, 50)); });
      return [before, place()];
    }, key);
    assert.match(places[0], first ? /^1 of \d+$/ : /^(\d+) of \1$/, key);
    assert.equal(places[1], places[0], key);
    await visitor.page.keyboard.press('Escape');
  }
  visitor.check();
  await visitor.close();
});

test('a task that starts while the style of its page comes is shown as running', async () => {
  for (const [part, style] of [['', 'task'], ['/findings', 'task'], ['/packets', 'packets']]) {
    const visitor = await Visitor.at(url);
    const { page } = visitor;
    await visitor.settled('#/tasks');
    const task = daemon.create({ name: `it starts soon ${part}`, start_at: new Date(Date.now() + 1500).toISOString(), protocol: 'icmp' });
    await page.getByRole('link', { name: task.name }).waitFor();
    let isStarted = () => {};
    const started = new Promise((resolve) => { isStarted = () => resolve(undefined); });
    await page.route(new RegExp(`/css/${style}\\.css$`), async (route) => { await started; await route.continue(); });
    await visitor.go(`#/tasks/${task.id}${part}`);
    await daemon.reaches(task.id, 'running');
    // Its event is there, too.
    await sleep(500);
    isStarted();
    await page.getByText('Running', { exact: true }).first().waitFor();
    assert.equal(await page.getByText('Pending', { exact: true }).count(), 0, part);
    daemon.api('POST', `tasks/${task.id}/stop`, {});
    visitor.check(part);
    await visitor.close();
  }
});

test('a page that is left while its style comes leaves the next one alone', async () => {
  const visitor = await Visitor.at(url, { language: 'de', width: 360 });
  const { page } = visitor;
  const task = places.find((place) => /^#\/tasks\/\w+$/.test(place)) ?? '';
  await visitor.settled('#/tasks');
  await page.route(/\/css\/(new|task)\.css$/, async (route) => {
    await sleep(700);
    await route.continue();
  });

  /** Goes to a place, and on to another as soon as the style of the first is asked for. @param {string} place @param {string} next @param {RegExp} style */
  const pass = async (place, next, style) => {
    const asked = page.waitForRequest(style);
    await visitor.go(place);
    await asked;
    await visitor.go(next);
  };

  // A form writes into its own address only.
  await pass('#/new?max_bytes=96', '#/tasks?q=checkout', /\/css\/new\.css$/);
  await visitor.settled('#/tasks');
  await eventually('the form’s style', () => page.evaluate(() => [...document.styleSheets].some(({ href }) => href?.endsWith('/new.css'))));
  await visitor.settled('#/tasks');
  assert.equal(await page.evaluate(() => location.hash), '#/tasks?q=checkout');

  // The second page of one style is shown with it, though the first has asked for it.
  await pass(task, `${task}/findings`, /\/css\/task\.css$/);
  await page.locator('main:not([aria-busy]) .task-head').waitFor();
  assert.ok(await page.evaluate(() => [...document.styleSheets].some(({ href }) => href?.endsWith('/task.css'))), 'it is shown without its style');
  await visitor.settled('findings');
  await visitor.fits('findings');
  visitor.check('left early');
  await visitor.close();
});
