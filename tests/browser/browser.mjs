// Debian's Chromium, and what no page may do: break its own policy, log an error, or ask anybody else.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { afterEach } from 'node:test';

import { chromium } from 'playwright-core';

import { eventually } from './lab.mjs';
import { AT } from './reporter.mjs';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Where `chromium` is. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Calls that stay open. */
const STREAM = /\/events$|[?&]follow=/;

/** @type {import('playwright-core').Browser | null} */
let browser = null;

/** Visitors that are there. @type {Set<Visitor>} */
const visitors = new Set();

// What a test that failed left on the screen says why, and must not stay to slow down the next.
afterEach(async (context) => {
  for (const visitor of visitors) {
    if (/** @type {any} */ (context).passed === false) {
      const text = await visitor.page.locator('body').innerText({ timeout: 2000 }).catch(String);
      process.stdout.write(`${AT}${visitor.page.url()}${visitor.faults.map((fault) => ` · ${fault.replaceAll(/\s+/g, ' ')}`).join('')}\n${text.slice(0, 2000)}\n`);
    }
    await visitor.close();
  }
});

/** A browser, for all tests of a file. */
export async function start() {
  browser ??= await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  return browser;
}

export async function stop() {
  await browser?.close();
  browser = null;
}

/** A visitor: a page, and what it did that it must not. */
export class Visitor {
  /** @type {string[]} */
  faults = [];

  /** Requests under way, but streams. @type {Set<import('playwright-core').Request>} */
  asking = new Set();

  /**
   * @param {import('playwright-core').BrowserContext} context
   * @param {import('playwright-core').Page} page
   * @param {string} origin
   */
  constructor(context, page, origin) {
    this.context = context;
    this.page = page;
    this.origin = new URL(origin).origin;
  }

  /**
   * A visitor of a daemon's page.
   * @param {string} url
   * @param {{width?: number, height?: number, theme?: 'light' | 'dark', language?: string}} [options]
   */
  static async at(url, { width = 1440, height = 900, theme = 'light', language = 'en' } = {}) {
    const context = await (await start()).newContext({ viewport: { width, height }, colorScheme: theme, locale: language, ignoreHTTPSErrors: true, acceptDownloads: true, permissions: ['clipboard-read', 'clipboard-write'] });
    const page = await context.newPage();
    const visitor = new Visitor(context, page, url);
    visitors.add(visitor);
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
    });
    page.on('console', (message) => {
      if (message.type() === 'error' && !visitor.isExpected(message.text())) visitor.blame(`console: ${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => visitor.blame(`error: ${error.stack}`));
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== visitor.origin && protocol !== 'blob:' && protocol !== 'data:') visitor.blame(`asks ${request.url()}`);
      if (request.resourceType() !== 'eventsource' && !STREAM.test(request.url())) visitor.asking.add(request);
    });
    for (const end of /** @type {const} */ (['requestfinished', 'requestfailed'])) page.on(/** @type {any} */ (end), (/** @type {any} */ request) => visitor.asking.delete(request));
    page.setDefaultTimeout(20_000);
    await page.goto(url);
    return visitor;
  }

  /** Messages of the browser's own that a test expects, as that a call was answered by 422. @type {RegExp[]} */
  expected = [];

  /** Notes what the page must not do, and where it was when that was seen. @param {string} fault */
  blame(fault) {
    this.faults.push(`${fault} (at ${new URL(this.page.url()).hash || '#'})`);
  }

  /** @param {string} text */
  isExpected(text) {
    return this.expected.some((one) => one.test(text));
  }

  /** Goes to a place of the page, and comes back once the page knows of it. @param {string} hash */
  async go(hash) {
    await this.page.evaluate((to) => new Promise((resolve) => {
      if (location.hash === to) return resolve(null);
      addEventListener('hashchange', () => resolve(null), { once: true });
      location.hash = to;
      return undefined;
    }), hash);
  }

  /**
   * Waits until a place is shown with all that it asks for at first: what comes later would be judged as of the next
   * place. Some pages ask again by a clock, so that one quiet moment is enough.
   * @param {string} where
   */
  async settled(where) {
    await this.page.locator('main:not([aria-busy]) .page > *').first().waitFor();
    await eventually(`rest at ${where}`, async () => {
      if (this.asking.size > 0) throw new Error([...this.asking].map((request) => request.url()).join(' '));
      // A frame later what has come is drawn, and what follows from it is asked for.
      const isLoading = await this.page.evaluate(() => new Promise((resolve) => {
        requestAnimationFrame(() => setTimeout(() => resolve(document.querySelector('main[aria-busy], main .loading') !== null)));
      }));
      return !isLoading && this.asking.size === 0;
    });
  }

  /** Fails with what the page did that it must not. @param {string} [where] */
  check(where = '') {
    const { faults } = this;
    this.faults = [];
    assert.equal(faults.length, 0, `${where}: ${faults.join(' · ')}`);
  }

  /**
   * Asks axe, and fails with what it finds.
   * @param {string} where
   */
  async accessible(where) {
    // As a devtools script would: the page's own policy takes no text for a script.
    const session = await this.context.newCDPSession(this.page);
    await session.send('Runtime.evaluate', { expression: `${axe};void 0` });
    const { result } = await session.send('Runtime.evaluate', {
      expression: 'axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => JSON.stringify(violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)])))',
      awaitPromise: true,
      returnByValue: true,
    });
    await session.detach();
    assert.equal(result.value, '[]', `axe: ${where}`);
  }

  /** Fails where the page is wider than the window. @param {string} where */
  async fits(where) {
    const widths = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(widths[0] <= widths[1], `${where}: ${widths[0]} px of content in ${widths[1]} px`);
  }

  async close() {
    visitors.delete(this);
    await this.context.close();
  }
}
