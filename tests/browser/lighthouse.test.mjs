// Lighthouse on the table of tasks. Accessibility and best practices do not depend on the machine. Performance does: it is
// the median of as many runs as `CAPTURE_TEST_LIGHTHOUSE` says, and is left out without it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch } from 'chrome-launcher';
import lighthouse, { desktopConfig } from 'lighthouse';

import { Daemon } from './lab.mjs';

const RUNS = Number(process.env.CAPTURE_TEST_LIGHTHOUSE ?? 0);

/** @type {Daemon} */
let daemon;
/** @type {string} */
let url;
/** @type {Awaited<ReturnType<typeof launch>>} */
let chrome;

before(async () => {
  daemon = await new Daemon().start();
  url = await daemon.socketUrl();
  for (let number = 0; number < 20; number += 1) daemon.create({ name: `task ${number}` });
  chrome = await launch({ chromePath: process.env.CHROMIUM ?? '/usr/bin/chromium', chromeFlags: ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage'] });
});

after(async () => {
  chrome?.kill();
  await daemon?.remove();
});

/** @param {string[]} categories @param {'mobile' | 'desktop'} form */
async function scores(categories, form) {
  const options = /** @type {const} */ ({ port: chrome.port, onlyCategories: categories, logLevel: 'error' });
  const result = await lighthouse(url, options, form === 'desktop' ? desktopConfig : undefined);
  const report = result?.lhr ?? assert.fail('no report');
  assert.equal(report.runtimeError, undefined);
  const bad = Object.values(report.audits).filter(({ score, scoreDisplayMode }) => scoreDisplayMode === 'binary' && score === 0).map(({ id }) => id);
  return { bad, of: Object.fromEntries(categories.map((name) => [name, Math.round((report.categories[name].score ?? 0) * 100)])) };
}

for (const form of /** @type {const} */ (['mobile', 'desktop'])) {
  test(`accessibility and best practices, ${form}`, async () => {
    const { bad, of } = await scores(['accessibility', 'best-practices'], form);
    for (const [name, score] of Object.entries(of)) assert.ok(score >= 95, `${name}: ${score}; ${bad}`);
  });

  test(`performance, ${form}`, { skip: RUNS === 0 && 'run by CAPTURE_TEST_LIGHTHOUSE=5' }, async () => {
    const all = [];
    for (let number = 0; number < RUNS; number += 1) all.push((await scores(['performance'], form)).of.performance);
    const median = all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
    process.stdout.write(`performance, ${form}: ${all.join(' ')}, median ${median}\n`);
    assert.ok(median >= 95, all.join(' '));
  });
}
