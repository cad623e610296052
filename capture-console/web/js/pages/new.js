// The form of a new task: the fields of the cloud consoles in their order, the rest behind "More". Each change is tried
// out by the service (`dry_run`), which says the faults and what will happen; no rule stands here. Fields are in the
// address, so that a form is a link.

import { Problem, REPORTED, call, get, isAborted, taskById } from '../api.js';
import { el, replace, set, setText } from '../dom.js';
import { faultText, fixOf } from '../faults.js';
import { makeForm } from '../form.js';
import { may, session } from '../frame.js';
import { interfaceList } from '../interface_list.js';
import * as live from '../live.js';
import { preview } from '../preview.js';
import { go, setQuery } from '../router.js';
import { fieldOf, queryOf, shownFields, specOf, valuesOf, valuesOfQuery } from '../spec.js';
import { filterWords } from '../task_words.js';
import { refusal, tryOut } from '../try_out.js';
import { blank, errorText, foreign, icon, notice, style } from '../ui.js';
import { t } from '../words.js';

/** @typedef {import('../spec.js').Values} Values */

const TYPING_MS = 300;
const MOST_NAME = 128;
const MOST_REMEMBERED = 12;
const REMEMBERED = ['ip', 'peer_ip', 'ports', 'peer_ports'];
/** Fields behind "More". */
const MORE = ['interfaces', 'direction', 'hook', 'icmp_errors', 'max_packets', 'max_file_bytes', 'rotate_bytes', 'rotate_seconds', 'rotate_files', 'format', 'start_at'];

export const title = () => t('new.title');

/**
 * @param {HTMLElement} root
 * @param {import('../router.js').Place} place
 */
export async function show(root, place) {
  await Promise.all([style('form'), style('new')]);
  if (!may('create')) {
    replace(root, blank(t('new.not_allowed'), el('p', null, t('new.not_allowed_why', { role: t(`role.${session()?.role}`) }))));
    return undefined;
  }
  const values = await first(place.query);
  // Left meanwhile: a form would write into the address of the next page.
  return root.isConnected ? build(root, values) : undefined;
}

/**
 * The fields at first: those of the task `from`, and over them those of the address.
 * @param {URLSearchParams} query
 * @returns {Promise<Values>}
 */
async function first(query) {
  const from = query.get('from');
  const asked = valuesOfQuery(query);
  if (!from) return asked;
  const task = live.tasks.get(from) ?? await taskById(from).catch(() => null);
  return task ? { ...valuesOf(task.spec), start_at: '', ...asked } : asked;
}

/**
 * @param {HTMLElement} root
 * @param {Values} values
 */
function build(root, values) {
  const touched = new Set(Object.keys(values).filter((name) => values[name] !== ''));
  let isSubmitted = false;
  let timer = 0;
  let key = newKey();
  /** @type {AbortController | null} */
  let running = null;

  const suggestion = () => filterWords(specOf(values)).slice(0, MOST_NAME);
  /** What would be sent now. An empty name is the one that is suggested. */
  const spec = () => {
    const now = specOf(values);
    return now.name.trim() ? now : { ...now, name: suggestion() };
  };

  /** @param {Values} changed @param {boolean} [isTyped] whether the controls show it already */
  const change = (changed, isTyped = false) => {
    for (const [name, value] of Object.entries(changed)) {
      values[name] = value;
      touched.add(name);
      if (!isTyped) fields.get(name)?.show();
    }
    key = newKey();
    arrange();
    clearTimeout(timer);
    running?.abort();
    timer = setTimeout(check, TYPING_MS);
  };

  const { fields, field, text, choice, showFaults, goToFault } = makeForm('new', values, change);
  const aside = preview({ spec, values, change });

  const isShown = (/** @type {string} */ name) => isSubmitted || touched.has(name);
  const line = (/** @type {any} */ fault) => faultLine(fault, values, change);

  async function check() {
    setQuery({ ...queryOf(values), from: null });
    const mine = new AbortController();
    running = mine;
    try {
      const answer = await tryOut(spec(), mine.signal);
      if (running !== mine) return;
      const faults = answer.valid ? [] : answer.errors;
      const placed = showFaults(faults, isShown, line);
      if (answer.valid) aside.show(answer);
      else aside.showFaults(placed, null);
      showRoute(!faults.some((/** @type {any} */ { pointer }) => fieldOf(pointer) === 'ip'));
    } catch (error) {
      if (isAborted(error) || running !== mine) return;
      aside.showFaults(showFaults([], isShown, line), error);
      showRoute(error instanceof Problem);
    }
  }

  /** Says why there is no task. @param {any[]} faults @param {unknown} error where there are no faults */
  function refuse(faults, error) {
    const { others, count } = showFaults(faults, isShown, line);
    const unplaced = count === 0 ? errorText(error) : others.map((fault) => el('p', null, foreign(faultText(fault))));
    if (unplaced.length > 0) replace(said, notice('high', unplaced));
    goToFault();
  }

  async function submit() {
    isSubmitted = true;
    clearTimeout(timer);
    running?.abort();
    set(send, { disabled: true });
    replace(said);
    try {
      const body = spec();
      // What would be refused is not sent: the refusal is known without it.
      const tried = await tryOut(body);
      const against = tried.valid && refusal(tried);
      if (against) return replace(said, notice('high', foreign(against.detail)));
      if (!tried.valid) return refuse(tried.errors, null);
      const task = await call('POST', 'tasks', { body, headers: { 'Idempotency-Key': key } });
      remember(values);
      live.put(task);
      go(['tasks', task.id]);
    } catch (error) {
      refuse(error instanceof Problem && error.status === 422 ? error.errors : [], error);
    } finally {
      set(send, { disabled: null });
    }
  }

  const where = el('div', { class: 'lives', 'aria-live': 'polite' });
  const list = interfaceList({ value: () => values.interfaces || 'any', change: (value) => change({ interfaces: value }, true) });
  const known = (/** @type {string} */ name) => remembered()[name] ?? [];
  const common = [
    text('name', { help: t('new.name.help') }),
    text('max_bytes', { placeholder: '0', inputmode: 'numeric', help: t('new.max_bytes.help'), presets: [['0', t('new.whole')], ['96', '96'], ['128', '128'], ['256', '256']] }),
    choice('oversize', ['truncate', 'discard']),
    text('duration', { placeholder: '60', help: t('new.duration.help'), presets: [['60', '60'], ['10m', '10m'], ['1h', '1h']] }),
    choice('protocol', ['all', 'tcp', 'udp', 'icmp']),
    choice('address_type', ['any', 'ip', 'ip_pair']),
    text('ip', { placeholder: '10.0.0.5, 10.1.0.0/16', mono: true, known: known('ip'), help: [t('new.ip.help'), where] }),
    text('ports', { placeholder: '443, 8000-8100', mono: true, known: known('ports') }),
    text('peer_ip', { placeholder: '192.0.2.0/24', mono: true, known: known('peer_ip') }),
    text('peer_ports', { placeholder: '1024-65535', mono: true, known: known('peer_ports') }),
  ];
  const errors = el('input', { type: 'checkbox', onchange: () => change({ icmp_errors: errors.checked ? 'true' : '' }, true) });
  const start = el('input', { id: 'field-start_at', type: 'datetime-local', step: 1, oninput: () => change({ start_at: start.value ? new Date(start.value).toISOString() : '' }, true) });
  const now = el('span', { class: 'more-now' });
  const more = el('details', { class: 'new-more', open: MORE.some((name) => values[name]) },
    el('summary', null, el('b', null, t('new.more')), now),
    section('new.where',
      field('interfaces', list.element, { show: list.update, isGroup: true }),
      choice('direction', ['both', 'ingress', 'egress']),
      choice('hook', ['auto', 'tc', 'xdp', 'xdp-generic'], t('new.hook.help')),
      field('icmp_errors', el('label', { class: 'check' }, errors, el('span', null, t('new.icmp_errors'))),
        { show: () => set(errors, { checked: values.icmp_errors === 'true' }), isGroup: true })),
    section('new.limits',
      el('div', { class: 'columns' },
        text('max_packets', { placeholder: t('new.no_limit'), inputmode: 'numeric' }),
        text('max_file_bytes', { placeholder: '1 GiB' })),
      el('div', { class: 'columns three' },
        text('rotate_bytes', { placeholder: '100 MB' }),
        text('rotate_seconds', { placeholder: '10m' }),
        text('rotate_files', { placeholder: t('new.no_limit'), inputmode: 'numeric' })),
      el('p', { class: 'help' }, t('new.rotate.help'))),
    section('new.output',
      choice('format', ['pcapng', 'pcap']),
      field('start_at', start, { show: () => set(start, { value: localTime(values.start_at) }), help: t('new.start_at.help') })));
  const send = el('button', { type: 'submit', class: 'button primary', 'aria-keyshortcuts': 'Control+Enter', title: 'Ctrl+Enter' }, icon('play'), el('span', null, t('new.create')));
  const said = el('div', { class: 'said' });
  const noPorts = el('p', { class: 'help' });
  fields.get('protocol')?.box.append(noPorts);
  fields.get('icmp_errors')?.show();
  fields.get('start_at')?.show();

  /** Shows the fields that apply, and what is behind "More". */
  function arrange() {
    const shown = shownFields(values);
    for (const [name, { box }] of fields) set(box, { hidden: !shown.has(name) });
    const oversize = fields.get('oversize');
    if (oversize) set(oversize.box, { hidden: !/[1-9]/.test(values.max_bytes ?? '') });
    const name = fields.get('name');
    if (name) set(name.control, { placeholder: suggestion() });
    setText(now, moreText(values));
    setText(noPorts, values.protocol === 'icmp' ? t('new.icmp_ports') : '');
    list.update();
  }

  let routed = '';
  /** Says where an address is: here, or behind which interface. @param {boolean} isAddress whether the service takes it */
  async function showRoute(isAddress) {
    const address = isAddress && shownFields(values).has('ip') ? (values.ip ?? '').trim() : '';
    if (address === routed) return;
    routed = address;
    replace(where);
    // Several addresses, and a prefix, may be in several places.
    if (!/^[\da-f.:]+$/i.test(address)) return;
    const found = await get('interfaces/route', { to: address, ...REPORTED }).catch(() => null);
    if (!found?.interface || routed !== address) return;
    const isChosen = (values.interfaces || 'any') === found.interface;
    replace(where, icon('info'), el('span', null, t(found.local ? 'new.lives_here' : found.source ? 'new.lives_behind' : 'new.lives_beyond', { interface: found.interface, source: found.source ?? '' })),
      !isChosen && found.interface !== 'lo' && el('button', { type: 'button', class: 'preset', onclick: () => {
        routed = '';
        change({ interfaces: found.interface });
      } }, t('new.only_there', { interface: found.interface })));
  }

  replace(root,
    el('div', { class: 'page-head' }, el('h1', null, t('new.title'))),
    el('form', { class: 'new', novalidate: true, autocomplete: 'off',
      onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); submit(); },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        // Enter in a line starts nothing by accident: that is for the button, and for Ctrl+Enter.
        if (event.key === 'Enter' && event.target instanceof HTMLInputElement) event.preventDefault();
      } },
      el('div', { class: 'card fields' }, common, more),
      el('div', { class: 'beside' }, aside.element,
        el('div', { class: 'send' }, said, el('div', { class: 'row' }, el('a', { class: 'button', href: '#/tasks' }, t('action.cancel')), send)))));
  // Wherever the focus is.
  const chord = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || send.disabled || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    submit();
  };
  addEventListener('keydown', chord);
  arrange();
  check();
  if (matchMedia('(min-width: 760px)').matches) fields.get('name')?.control.focus();
  return () => {
    removeEventListener('keydown', chord);
    clearTimeout(timer);
    running?.abort();
    list.end();
    aside.end();
  };
}

/** @param {string} heading key of its text @param {...any} content */
function section(heading, ...content) {
  return el('section', { class: 'more-section' }, el('h2', null, t(heading)), content);
}

/**
 * A fault, and one click where it says what was meant.
 * @param {any} fault
 * @param {Values} values
 * @param {(changed: Values) => void} change
 */
function faultLine(fault, values, change) {
  const fix = fixOf(fault, values);
  return el('p', { class: 'fault' }, icon('error'), foreign(faultText(fault)),
    fix && el('button', { type: 'button', class: 'preset', onclick: () => change(fix.values) }, t('new.use', { value: fix.label })));
}

/**
 * What is behind "More", in a line.
 * @param {Values} values
 */
function moreText(values) {
  const interfaces = values.interfaces || 'any';
  return [
    interfaces === 'any' ? t('new.any_interface') : interfaces,
    values.direction && values.direction !== 'both' && t(`new.direction.${values.direction}`),
    values.max_packets && t('new.now_packets', { count: values.max_packets }),
    values.max_file_bytes,
    (values.rotate_bytes || values.rotate_seconds) && t('new.now_rotated'),
    values.format === 'pcap' ? 'pcap' : 'pcapng',
    values.start_at && new Date(values.start_at).toLocaleString(),
  ].filter(Boolean).join(' · ');
}

/** A time for `datetime-local`, in the reader's zone. @param {string | undefined} time RFC 3339 */
function localTime(time) {
  const at = new Date(time ?? '');
  if (Number.isNaN(at.getTime())) return '';
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** A key under which the service takes a request once, however often it comes. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What was asked for before, by field, newest first. @returns {Record<string, string[]>} */
function remembered() {
  try {
    return JSON.parse(localStorage.getItem('asked') ?? '{}');
  } catch {
    return {};
  }
}

/** @param {Values} values */
function remember(values) {
  const all = remembered();
  for (const name of REMEMBERED) {
    const value = (values[name] ?? '').trim();
    if (value && value.length <= 200) all[name] = [value, ...(all[name] ?? []).filter((other) => other !== value)].slice(0, MOST_REMEMBERED);
  }
  localStorage.setItem('asked', JSON.stringify(all));
}
