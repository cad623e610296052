// How fast the page shows a capture of many packets, and what memory it takes: `cargo xtask browser --large 5000000`.

import fs from 'node:fs';
import path from 'node:path';

import { Visitor, stop } from './browser.mjs';
import { Daemon, HOST, PEER, eventually, fail, onPeer } from './lab.mjs';

const packets = Number(process.argv[2] ?? fail('how many packets?'));
/** Packets of the file that is sent again and again. */
const PIECE = 50_000;
const FLOWS = 5000;
/** Places that are visited for the figures and for the memory. */
const JUMPS = 15;
const PLACES = 300;

/** A capture file of UDP over IPv4 between the peer and the host, of many flows. */
function traffic() {
  const frame = 100;
  const mac = (/** @type {string} */ text) => Buffer.from(text, 'hex');
  const bytes = Buffer.alloc(24 + PIECE * (16 + frame));
  bytes.writeUInt32LE(0xa1b2c3d4, 0);
  bytes.writeUInt16LE(2, 4);
  bytes.writeUInt16LE(4, 6);
  bytes.writeUInt32LE(65535, 16);
  bytes.writeUInt32LE(1, 20);
  for (let index = 0; index < PIECE; index += 1) {
    let at = 24 + index * (16 + frame);
    bytes.writeUInt32LE(frame, at + 8);
    bytes.writeUInt32LE(frame, at + 12);
    at += 16;
    mac('020000000001020000000002').copy(bytes, at);
    bytes.writeUInt16BE(0x0800, at + 12);
    bytes.writeUInt8(0x45, at + 14);
    bytes.writeUInt16BE(frame - 14, at + 16);
    bytes.writeUInt16BE(index, at + 18);
    bytes.writeUInt8(64, at + 22);
    bytes.writeUInt8(17, at + 23);
    for (const [place, address] of [[26, PEER], [30, HOST]]) Buffer.from(String(address).split('.').map(Number)).copy(bytes, at + Number(place));
    bytes.writeUInt16BE(10_000 + ((index * 7919) % FLOWS), at + 34);
    bytes.writeUInt16BE(9, at + 36);
    bytes.writeUInt16BE(frame - 34, at + 38);
  }
  return bytes;
}

const median = (/** @type {number[]} */ values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const said = (/** @type {string} */ what, /** @type {number[]} */ values) => console.log(`${what}: median ${median(values).toFixed(0)} ms, longest ${Math.max(...values).toFixed(0)} ms, of ${values.length}`);

const daemon = await new Daemon().start();
const file = path.join(daemon.directory, 'sent.pcap');
fs.writeFileSync(file, traffic());
const task = daemon.create({ name: 'many packets', protocol: 'udp', max_bytes: 96, max_packets: packets, duration: 900 });
await daemon.reaches(task.id, 'running');
const sender = onPeer('tcpreplay', ['-q', '-K', '--pps=150000', `--loop=${Math.ceil((packets * 1.2) / PIECE)}`, '-i', 'eth0', file]);
await eventually('the packets', () => daemon.api('GET', `tasks/${task.id}`).state === 'completed', 600_000);
sender.kill();
console.log(`${daemon.api('GET', `tasks/${task.id}`).counters.captured} packets`);

const visitor = await Visitor.at(`${await daemon.socketUrl()}#/tasks/${task.id}`);
const { page } = visitor;
await page.getByRole('heading', { name: 'many packets' }).waitFor();
// The index of the file is made once, by the first who looks.
const begin = Date.now();
await page.evaluate(() => { location.hash += '/packets'; });
await page.locator('.pk-row:not([data-wait])').first().waitFor();
console.log(`first rows, nobody having looked: ${Date.now() - begin} ms`);
await page.locator('.pk-foot').getByText(`${packets.toLocaleString('en')} packets`, { exact: true }).waitFor({ timeout: 120_000 });
await page.locator('.pk-progress').waitFor({ state: 'hidden', timeout: 120_000 });
console.log(`all packets counted: ${Date.now() - begin} ms`);

/** Does something in the page, and gives the time until this row and all others in sight are drawn, in ms. @param {string} act @param {number} position */
function until(act, position) {
  return page.evaluate(async ({ act, position }) => {
    const list = /** @type {HTMLElement} */ (document.querySelector('.pk-list'));
    const from = performance.now();
    if (act === 'scroll') list.scrollTop = (position / Number(list.getAttribute('aria-rowcount'))) * (list.scrollHeight - list.clientHeight);
    else if (act === 'open') location.hash += '/packets';
    else document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key: act, bubbles: true, cancelable: true }));
    for (;;) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const rows = [...document.querySelectorAll('.pk-row:not([hidden])')];
      const isThere = rows.length > 0 && rows.every((row) => !row.hasAttribute('data-wait'))
        && rows.some((row) => Math.abs(Number(row.getAttribute('aria-rowindex')) - 2 - position) < 2000);
      if (isThere) return performance.now() - from;
      if (performance.now() - from > 20_000) {
        const shown = rows.map((row) => `${row.getAttribute('aria-rowindex')}${row.hasAttribute('data-wait') ? ' waits' : ''}`);
        throw new Error(`${act} to ${position} of ${document.querySelector('.pk-list')?.getAttribute('aria-rowcount')}: ${shown.join(', ')} at ${location.hash}: ${document.querySelector('main')?.textContent?.slice(0, 500)}`);
      }
    }
  }, { act, position });
}

const heap = async () => {
  const session = await visitor.context.newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return (usedSize / 1e6).toFixed(1);
};

await page.locator('.pk-list').focus();
const [ends, starts, places] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
for (let time = 0; time < JUMPS; time += 1) {
  ends.push(await until('End', packets - 1));
  starts.push(await until('Home', 0));
}
said('jump to the end', ends);
said('jump to the begin', starts);
console.log(`memory of the page: ${await heap()} MB`);
for (let time = 1; time <= PLACES; time += 1) places.push(await until('scroll', Math.floor(((time * 7919) % 1000) / 1000 * packets)));
said('jump to a place by the scroll bar', places);
console.log(`memory of the page after ${PLACES} places: ${await heap()} MB`);

const opens = [];
for (let time = 0; time < JUMPS; time += 1) {
  await page.evaluate(() => { location.hash = location.hash.replace(/\/packets.*/, ''); });
  await page.locator('.pk-list').waitFor({ state: 'detached' });
  opens.push(await until('open', 0));
}
said('first rows', opens);
visitor.check();
await visitor.close();
await stop();
await daemon.remove();
process.exit(0);
