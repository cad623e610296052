// A link to a capture, opened by somebody without a token: what it shows of packets, and that nothing else is in the page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Visitor, stop } from './browser.mjs';
import { Daemon, HOST, PEER, eventually, onPeer, server } from './lab.mjs';

const PORT = 8083;
const SECRET = 'hunter2-in-the-payload';

/** @type {Daemon} */
let daemon;
/** @type {any} */
let task;

before(async () => {
  daemon = await new Daemon().start();
  const listening = await server(PORT, `${SECRET}\n`.repeat(50), { 'X-Secret': SECRET });
  // Named after an address, which must not be told either.
  task = daemon.create({ name: `from ${PEER}`, protocol: 'tcp', ports: [PORT, PORT + 1] });
  await daemon.reaches(task.id, 'running');
  for (let time = 0; time < 3; time += 1) {
    const asking = onPeer('curl', ['-s', '-o', '/dev/null', `http://${HOST}:${PORT}/${SECRET}/${time}`]);
    await new Promise((resolve) => asking.once('exit', resolve));
  }
  // Nobody listens there: a finding.
  const refused = onPeer('sh', ['-c', `for n in 1 2 3 4 5 6; do curl -s -m 1 http://${HOST}:${PORT + 1}/; done`]);
  await new Promise((resolve) => refused.once('exit', resolve));
  await eventually('packets', () => daemon.api('GET', `tasks/${task.id}`).counters.captured > 20);
  daemon.api('POST', `tasks/${task.id}/stop`, {});
  task = await daemon.reaches(task.id, 'completed');
  listening.closeAllConnections();
  listening.close();
});

after(async () => {
  await stop();
  await daemon?.remove();
});

/** @param {Record<string, unknown>} terms */
function share(terms) {
  const made = daemon.api('POST', `tasks/${task.id}/shares`, { expires_in: 600, findings: true, ...terms });
  return { id: made.share.id, link: new URL(made.url, daemon.url).href };
}

/**
 * All that answers and the page hold, read by somebody who looks for what must not be there.
 * @param {Visitor} visitor
 */
function listen(visitor) {
  /** @type {Promise<string>[]} */
  const answers = [];
  visitor.page.on('response', (response) => {
    if (response.url().includes('/api/')) answers.push(response.body().then((body) => `${response.url()} ${JSON.stringify(response.headers())} ${body.toString('latin1')}`, () => ''));
  });
  return async () => [...(await Promise.all(answers)), await visitor.page.content(), visitor.page.url()];
}

/** @param {string} text */
const hex = (text) => Buffer.from(text).toString('hex');
const address = (/** @type {string} */ text) => text.split('.').map((part) => Number(part).toString(16).padStart(2, '0')).join('');

test('an outsider filters and opens packets, and finds neither payload nor a true address', async () => {
  const { link } = share({ packets: 'headers' });
  const visitor = await Visitor.at('about:blank');
  visitor.origin = new URL(daemon.url).origin;
  const held = listen(visitor);
  const { page } = visitor;
  await page.goto(link);
  await page.getByText(/Complete: \d+ packets, none lost/).waitFor();
  await page.getByRole('heading', { name: 'Packets', exact: true }).waitFor();
  await page.locator('.pk-row:not([data-wait])').first().waitFor();
  await page.getByText(/^\d+ packets$/).waitFor();

  // A finding leads to its packets.
  await page.getByRole('link', { name: 'Show the packets' }).first().click();
  await page.getByText(/^\d+ of \d+ packets shown/).waitFor();
  assert.match(new URL(page.url()).hash, /^#\/share\/shr_\w+\?.*filter=/);
  await page.getByRole('button', { name: 'Remove the filter' }).click();
  await page.getByText(/^\d+ packets$/).waitFor();

  // Completed, judged, used.
  const box = page.getByRole('combobox', { name: 'Display filter' });
  await box.pressSequentially('tcp.flags.sy');
  await page.getByRole('option', { name: /tcp\.flags\.syn/ }).waitFor();
  await page.keyboard.press('Tab');
  await box.pressSequentially(' == 1');
  await page.keyboard.press('Enter');
  await page.getByText(/^\d+ of \d+ packets shown/).waitFor();
  await page.locator('.pk-row:not([data-wait])').first().click();
  await page.getByRole('tree').getByText('Transmission Control Protocol').waitFor();
  await page.getByRole('button', { name: 'Follow the stream' }).click();
  await page.getByRole('dialog').getByText('Client').first().waitFor();
  await page.getByRole('dialog').locator('.loading').waitFor({ state: 'detached' });
  assert.equal(await page.getByRole('link', { name: 'Save raw bytes' }).count(), 0);
  await page.keyboard.press('Escape');

  // What is not there is found by nobody.
  for (const filter of [`ip.addr == ${PEER}`, `frame contains "${SECRET}"`]) {
    await box.fill(filter);
    await page.keyboard.press('Enter');
    await page.getByText('No packet passes the filter').waitFor();
  }
  const unwanted = [PEER, HOST, SECRET, address(PEER), address(HOST), hex(SECRET), task.id];
  // They were typed here: what the page shows of that is what was typed.
  await box.fill('');
  await page.keyboard.press('Enter');
  await page.getByText(/^\d+ packets$/).waitFor();
  const typed = (/** @type {string} */ text) => decodeURIComponent(text.replaceAll('+', ' '));
  const texts = await held();
  assert.ok(texts.length > 12, `${texts.length} answers`);
  for (const answer of texts) {
    if (/filter=(ip.addr|frame)|\/filter\?text=/.test(answer)) continue;
    // A checksum that ends with 0a, an urgent pointer of 0 and the option 02 behind it are no 10.0.0.2.
    const checksum = /"name":"tcp\.checksum"[^{}]*"value":"0x(\w{4})"/.exec(answer)?.[1];
    const text = checksum ? answer.replace(`${checksum}0000`, 'checksum') : answer;
    for (const word of unwanted) assert.ok(!text.toLowerCase().includes(word.toLowerCase()), `${word} in ${typed(text).slice(0, 300)}`);
  }
  for (const name of ['Mark', 'Comment']) assert.equal(await page.getByRole('button', { name }).count(), 0, name);
  visitor.check();
  await visitor.close();
});

test('a share of whole packets shows their bytes, without notes', async () => {
  daemon.api('PUT', `tasks/${task.id}/notes/4`, { marked: true, comment: 'for us alone' });
  const { id, link } = share({ packets: 'whole', anonymise: false });
  const visitor = await Visitor.at(`${link}?filter=http.request.method`);
  const held = listen(visitor);
  const { page } = visitor;
  await page.getByText(/^3 of \d+ packets shown/).waitFor();
  await page.locator('.pk-row:not([data-wait])').first().click();
  await page.getByRole('tree').getByText('Hypertext Transfer Protocol').waitFor();
  await page.getByRole('button', { name: 'Follow the stream' }).click();
  await page.getByRole('dialog').getByText(SECRET).first().waitFor();
  await page.keyboard.press('Escape');
  for (const text of await held()) assert.ok(!text.includes('for us alone'), text.slice(0, 300));
  visitor.check();

  // Taken back, it shows nothing more, and says so.
  daemon.api('DELETE', `shares/${id}`);
  visitor.expected.push(/401/);
  await page.getByRole('combobox', { name: 'Display filter' }).fill('tcp');
  await page.keyboard.press('Enter');
  await page.getByText(/the share is not known, or its time is over/).first().waitFor();
  await page.reload();
  await page.getByText('This link does not hold any more').waitFor();
  visitor.check();
  await visitor.close();
});

for (const theme of /** @type {const} */ (['light', 'dark'])) {
  for (const width of [360, 768, 1440]) {
    test(`the page of a share, ${theme}, ${width} px`, async () => {
      const { link } = share({ packets: 'headers' });
      const visitor = await Visitor.at(`${link}?n=3`, { theme, width });
      await visitor.page.locator('.pk-row:not([data-wait])').first().waitFor();
      await visitor.page.getByRole('tree').getByText('Transmission Control Protocol').waitFor();
      const where = `share ${theme} ${width}`;
      await visitor.accessible(where);
      await visitor.fits(where);
      visitor.check(where);
      await visitor.close();
    });
  }
}
