// A host with the daemon, a peer that talks to it, and browsers on the host. `cargo xtask test` starts these tests in a
// network and mount namespace of their own: this process, the daemon and the browser are on the host; the peer is another
// namespace, with a link between.

import { execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The agent under test. */
export const AGENT = process.env.CAPTURE_AGENT_BIN ?? fail('CAPTURE_AGENT_BIN names the agent under test');

export const HOST = '10.0.0.1';
export const PEER = '10.0.0.2';
export const INTERFACE = 'eth0';

/** Nothing takes longer, unless it hangs. */
export const TIMEOUT = 30_000;

/** @param {string} text @returns {never} */
export function fail(text) {
  throw new Error(text);
}

/** @param {string} program @param {string[]} args */
export function run(program, args, options = {}) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}

let isMade = false;

/** Makes the network, once. */
function makeNetwork() {
  if (isMade) return;
  isMade = true;
  // A network of a machine is not ours to change.
  if (!process.env.CAPTURE_BROWSER_LAB) fail('these tests want namespaces of their own: `cargo xtask browser`');
  const links = fs.readFileSync('/proc/net/dev', 'utf8').trim().split('\n').slice(2).map((line) => line.split(':')[0].trim());
  const ip = (/** @type {string} */ line) => run('ip', line.split(' '));
  ip('link set lo up');
  if (!links.includes(INTERFACE)) {
    // Names of namespaces are files; ours are seen by nobody else.
    fs.mkdirSync('/run/netns', { recursive: true });
    run('mount', ['-t', 'tmpfs', 'none', '/run/netns']);
    ip('netns add peer');
    ip(`link add ${INTERFACE} type veth peer name ${INTERFACE} netns peer`);
    ip(`addr add ${HOST}/24 dev ${INTERFACE}`);
    ip(`-n peer addr add ${PEER}/24 dev ${INTERFACE}`);
    ip('-n peer link set lo up');
    // An address that comes later is a change of the network, at which a browser gives up its requests.
    ip(`link set ${INTERFACE} addrgenmode none`);
    ip(`-n peer link set ${INTERFACE} addrgenmode none`);
    ip(`link set ${INTERFACE} up`);
    ip(`-n peer link set ${INTERFACE} up`);
  }
}

/**
 * Waits until something is so, and gives it.
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} look
 * @param {number} [timeout]
 * @returns {Promise<NonNullable<T>>}
 */
export async function eventually(what, look, timeout = TIMEOUT) {
  const end = Date.now() + timeout;
  /** @type {unknown} */
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return /** @type {any} */ (found);
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what} did not come: ${last ?? ''}`);
    await sleep(50);
  }
}

/** A daemon with directories of its own. */
export class Daemon {
  /** @type {import('node:child_process').ChildProcess | null} */
  process = null;
  log = '';
  proxies = /** @type {net.Server[]} */ ([]);

  /** @param {string} [config] further lines of the configuration */
  constructor(config = '') {
    makeNetwork();
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'capture-browser-'));
    this.socket = path.join(this.directory, 'api.sock');
    this.config = path.join(this.directory, 'config.toml');
    this.port = 20_000 + crypto.randomInt(20_000);
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(this.directory, name));
    run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert]);
    fs.writeFileSync(this.config, `[paths]\ndatabase = "${this.directory}/state.db"\ncaptures = "${this.directory}/captures"\nsocket = "${this.socket}"\n[access]\nsocket_group = "root"\n[http]\nlisten = "127.0.0.1:${this.port}"\ntls_cert = "${cert}"\ntls_key = "${key}"\n[quota]\nedition = "unlimited"\n${config}`);
  }

  /** Starts it, until it answers. */
  async start() {
    const child = spawn(AGENT, ['daemon', '--config', this.config], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.process = child;
    let isReady = false;
    const before = this.log.length;
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.log += text;
      isReady ||= /^ready$/m.test(this.log.slice(before));
    });
    await eventually('the daemon', () => {
      if (child.exitCode !== null) fail(`the daemon ended: ${this.log.slice(before)}`);
      return isReady;
    });
    return this;
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal = 'SIGTERM') {
    const child = this.process;
    this.process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** Ends it, and removes what it left. */
  async remove() {
    for (const proxy of this.proxies) proxy.close();
    await this.end();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  /** The page over TLS, where one logs in. */
  get url() {
    return `https://localhost:${this.port}/`;
  }

  /** The page by the socket, as through `ssh -L`: the one who asks is the user of this process. */
  async socketUrl() {
    const server = net.createServer((client) => {
      const upstream = net.connect(this.socket);
      client.pipe(upstream).pipe(client);
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
      upstream.on('close', () => client.destroy());
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
    this.proxies.push(server);
    return `http://localhost:${/** @type {net.AddressInfo} */ (server.address()).port}/`;
  }

  /** A command of the agent against this daemon. @param {...string} args */
  agent(...args) {
    return run(AGENT, args, { env: { ...process.env, CAPTURE_AGENT_SOCKET: this.socket } });
  }

  /** A new token. @param {string} role @param {string} [name] */
  token(role, name = `test-${role}-${crypto.randomInt(1e9)}`) {
    const made = run(AGENT, ['token', 'create', name, '--role', role, '--config', this.config]);
    return /cap_[0-9A-Za-z]+/.exec(made)?.[0] ?? fail(`no token in ${made}`);
  }

  /**
   * A call on the socket.
   * @param {string} method
   * @param {string} call
   * @param {unknown} [body]
   * @returns {any}
   */
  api(method, call, body) {
    const args = ['-sS', '--unix-socket', this.socket, '-X', method, `http://localhost/api/v1/${call}`];
    if (body !== undefined) args.push('-H', 'content-type: application/json', '-d', JSON.stringify(body));
    const text = run('curl', args, { maxBuffer: 1 << 28 });
    return text ? JSON.parse(text) : null;
  }

  /** A task, created by the socket. @param {Record<string, unknown>} spec */
  create(spec) {
    const task = this.api('POST', 'tasks', { interfaces: [INTERFACE], duration: 600, ...spec });
    return task.id ? task : fail(JSON.stringify(task));
  }

  /** Waits for a state of a task. @param {string} id @param {string} state */
  reaches(id, state) {
    return eventually(`${id} ${state}`, () => {
      const task = this.api('GET', `tasks/${id}`);
      return task.state === state && task;
    });
  }
}

/**
 * A program on the peer.
 * @param {string} program
 * @param {string[]} args
 */
export function onPeer(program, args) {
  makeNetwork();
  return spawn('ip', ['netns', 'exec', 'peer', program, ...args], { stdio: 'ignore' });
}

/** An HTTP server on the host, whose answers have these headers and text, and come after `delay` ms. @param {number} port @param {string} text @param {Record<string, string>} [headers] @param {number} [delay] */
export async function server(port, text, headers = {}, delay = 0) {
  const { createServer } = await import('node:http');
  const listening = createServer((request, response) => {
    request.resume();
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    setTimeout(() => response.end(text), delay);
  });
  await new Promise((resolve) => listening.listen(port, HOST, () => resolve(null)));
  return listening;
}

/** Pings from the peer: `rate` a second, until it is killed. @param {number} rate */
export function pings(rate) {
  return onPeer('ping', ['-q', '-i', String(1 / rate), HOST]);
}
