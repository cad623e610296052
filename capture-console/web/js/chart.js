// A chart of rates over time: packets or bits a second as a line, losses as bars, findings as marks. A range of it is
// chosen by pointer or keyboard.

import { el, replace, set, setText, svg } from './dom.js';
import * as format from './format.js';
import { t } from './words.js';

/**
 * @typedef {object} Point
 * @property {number} at when it begins, in milliseconds
 * @property {number} seconds how long it is
 * @property {number} packets in it
 * @property {number} bytes in it
 * @property {number} [drops] packets lost in it
 */

/** @typedef {{at: number, severity: string, text: string, href?: string}} Mark */

const HEIGHT = 200;
const LEFT = 62;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 26;
/** Pixels below which a pull of the pointer is a click. */
const LEAST_PULL = 5;

/**
 * @param {{onSelect?: (from: number, until: number) => void}} options `onSelect`: what is done with a range, in
 *   milliseconds; without it none can be chosen
 */
export function chart({ onSelect } = {}) {
  /** @type {Point[]} */
  let points = [];
  /** @type {Mark[]} */
  let marks = [];
  let width = 800;
  let shown = 'packets';
  /** The point under the cursor, and where a choice began. @type {number | null} */
  let cursor = null;
  /** @type {number | null} */
  let anchor = null;

  const picture = svg('svg', { class: 'chart-picture', role: 'img', height: HEIGHT });
  const readout = el('div', { class: 'chart-readout', 'aria-live': 'off' });
  const open = el('button', { type: 'button', class: 'button', hidden: true, onclick: () => choose() }, t('chart.packets_of_range'));
  const legend = el('span', { class: 'chart-legend', hidden: true }, el('span', { class: 'sample loss' }), t('chart.losses'));
  const buttons = ['packets', 'bits'].map((name) => el('button', { type: 'button', class: 'chip', 'aria-pressed': String(name === shown), onclick: () => {
    shown = name;
    buttons.forEach((button) => set(button, { 'aria-pressed': String(button.dataset.name === name) }));
    draw();
  }, dataset: { name } }, t(`chart.${name}`)));
  const box = el('div', { class: 'chart-box', tabindex: '0', role: 'group', 'aria-label': t(onSelect ? 'chart.keys' : 'chart.label'), onkeydown: byKey }, picture);
  const element = el('div', { class: 'chart' }, el('div', { class: 'row spread' }, el('div', { class: 'row' }, buttons), el('div', { class: 'row' }, open, legend)), box, readout);
  new ResizeObserver(() => {
    const now = Math.floor(box.clientWidth);
    if (now === width || now < 50) return;
    width = now;
    draw();
  }).observe(box);

  const first = () => points[0]?.at ?? 0;
  const last = () => {
    const end = points.at(-1);
    return end ? end.at + end.seconds * 1000 : 1;
  };
  const across = () => Math.max(1, last() - first());
  const x = (/** @type {number} */ at) => LEFT + ((at - first()) / across()) * (width - LEFT - RIGHT);
  const pointAt = (/** @type {number} */ pixel) => {
    const at = first() + ((pixel - LEFT) / Math.max(1, width - LEFT - RIGHT)) * across();
    const found = points.findIndex((point) => at < point.at + point.seconds * 1000);
    return found < 0 ? points.length - 1 : found;
  };
  const value = (/** @type {Point} */ point) => (shown === 'packets' ? point.packets : point.bytes * 8) / point.seconds;
  const text = (/** @type {number} */ rate) => (shown === 'packets' ? format.compact(rate) : format.bits(rate));

  function draw() {
    set(picture, { viewBox: `0 0 ${width} ${HEIGHT}`, width, 'aria-label': label() });
    if (points.length === 0) {
      replace(picture, svg('text', { x: width / 2, y: HEIGHT / 2, class: 'chart-none' }, t('chart.none')));
      setText(readout, '');
      return;
    }
    const most = nice(Math.max(1, ...points.map(value)));
    const height = HEIGHT - TOP - BOTTOM;
    const y = (/** @type {number} */ rate) => TOP + height * (1 - rate / most);
    const line = points.map((point, index) => {
      // A step for each point: the figure is that of its whole time.
      const [from, until, at] = [x(point.at), x(point.at + point.seconds * 1000), y(value(point))].map((number) => number.toFixed(1));
      return index === 0 ? `M${from} ${at}H${until}` : `H${from}V${at}H${until}`;
    }).join('');
    const ground = TOP + height;
    const worst = Math.max(0, ...points.map((point) => (point.drops ?? 0) / point.seconds));
    set(legend, { hidden: worst === 0 });
    const losses = worst === 0 ? [] : points.filter((point) => point.drops).map((point) => {
      const tall = Math.max(4, ((point.drops ?? 0) / point.seconds / Math.max(worst, most * (shown === 'packets' ? 1 : 0))) * height);
      return svg('rect', { class: 'chart-loss', x: x(point.at), y: ground - tall, height: tall, width: Math.max(2, x(point.at + point.seconds * 1000) - x(point.at)) });
    });
    replace(picture,
      [0, 0.5, 1].flatMap((part) => [
        svg('line', { class: 'chart-grid', x1: LEFT, x2: width - RIGHT, y1: y(most * part), y2: y(most * part) }),
        svg('text', { class: 'chart-scale', x: LEFT - 8, y: y(most * part) + 4 }, text(most * part))]),
      times().map((at, index, { length }) => svg('text', { class: `chart-time ${index === 0 ? 'first' : index === length - 1 ? 'last' : ''}`, x: x(at), y: HEIGHT - 7 }, format.timeOfDay(new Date(at)))),
      svg('path', { class: 'chart-area', d: `${line}V${ground}H${x(first()).toFixed(1)}Z` }),
      svg('path', { class: 'chart-line', d: line }),
      losses, range(height), marks.map(mark), cursor !== null && points[cursor] && svg('line', { class: 'chart-cursor', x1: middle(cursor), x2: middle(cursor), y1: TOP, y2: ground }));
    say();
  }

  const middle = (/** @type {number} */ index) => x(points[index].at + points[index].seconds * 500);

  /** @param {number} height */
  function range(height) {
    const [from, until] = chosen() ?? [];
    if (from === undefined || until === undefined) return null;
    return svg('rect', { class: 'chart-range', x: x(from), y: TOP, width: Math.max(1, x(until) - x(from)), height });
  }

  /** @param {Mark} one */
  function mark({ at, severity, text: said, href }) {
    if (at < first() - 1000 || at > last() + 1000) return null;
    const where = Math.max(LEFT, Math.min(width - RIGHT, x(at)));
    // By keyboard, findings are reached in the list of them.
    const sign = svg('path', { class: `chart-mark ${severity}`, d: `M${where - 5} ${TOP - 10}h10l-5 9z` }, svg('title', null, said));
    if (href) sign.addEventListener('click', () => { location.hash = href; });
    return sign;
  }

  /** The range that is chosen, in milliseconds. @returns {[number, number] | null} */
  function chosen() {
    if (anchor === null || cursor === null || !points[anchor] || !points[cursor]) return null;
    const [from, until] = [points[Math.min(anchor, cursor)], points[Math.max(anchor, cursor)]];
    return [from.at, until.at + until.seconds * 1000];
  }

  function choose() {
    const range = chosen();
    if (range) onSelect?.(...range);
  }

  /** Says what is under the cursor, or in the range. */
  function say() {
    const range = chosen();
    set(open, { hidden: !range });
    if (range) {
      const inside = points.slice(Math.min(/** @type {number} */ (anchor), /** @type {number} */ (cursor)), Math.max(/** @type {number} */ (anchor), /** @type {number} */ (cursor)) + 1);
      const packets = inside.reduce((sum, point) => sum + point.packets, 0);
      setText(readout, `${format.timeOfDay(new Date(range[0]))} – ${format.timeOfDay(new Date(range[1]))} · ${t('chart.count', { count: packets })}`);
      return;
    }
    const point = points[cursor ?? points.length - 1];
    const parts = [format.timeOfDay(new Date(point.at)), format.packetRate(point.packets / point.seconds), format.bits((point.bytes * 8) / point.seconds)];
    if (point.drops) parts.push(t('chart.lost', { count: point.drops }));
    setText(readout, parts.join(' · '));
  }

  /** Times for the axis. */
  function times() {
    const count = Math.max(1, Math.min(6, Math.floor((width - LEFT - RIGHT) / 150)));
    return Array.from({ length: count + 1 }, (_, index) => first() + (across() * index) / count);
  }

  function label() {
    if (points.length === 0) return t('chart.none');
    const most = points.reduce((best, point) => (value(point) > value(best) ? point : best));
    return t('chart.says', { from: format.timeOfDay(new Date(first())), until: format.timeOfDay(new Date(last())), most: shown === 'packets' ? format.packetRate(value(most)) : format.bits(value(most)), at: format.timeOfDay(new Date(most.at)) });
  }

  /** @param {KeyboardEvent} event */
  function byKey(event) {
    if (event.target !== box || points.length === 0) return;
    const now = cursor ?? points.length - 1;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: points.length - 1, PageUp: now - 10, PageDown: now + 10 }[event.key];
    if (to !== undefined) {
      if (event.shiftKey && onSelect) anchor ??= now;
      else anchor = null;
      cursor = Math.max(0, Math.min(points.length - 1, to));
      set(readout, { 'aria-live': 'polite' });
    } else if (event.key === 'Enter' && chosen()) choose();
    else if (event.key === 'Escape' && (cursor !== null || anchor !== null)) {
      cursor = null;
      anchor = null;
    } else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  }

  let pulledFrom = 0;
  let isPulled = false;
  const place = (/** @type {PointerEvent} */ event) => event.clientX - picture.getBoundingClientRect().left;
  picture.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (points.length === 0 || event.button !== 0) return;
    pulledFrom = place(event);
    isPulled = true;
    anchor = null;
    cursor = pointAt(pulledFrom);
    draw();
  });
  picture.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    if (points.length === 0) return;
    const at = place(event);
    if (isPulled && onSelect && Math.abs(at - pulledFrom) > LEAST_PULL) {
      if (anchor === null) picture.setPointerCapture(event.pointerId);
      anchor ??= pointAt(pulledFrom);
    }
    if (isPulled || anchor === null) {
      cursor = pointAt(at);
      draw();
    }
  });
  const letGo = () => { isPulled = false; };
  picture.addEventListener('pointerup', letGo);
  picture.addEventListener('pointercancel', letGo);
  picture.addEventListener('pointerleave', () => {
    if (isPulled || anchor !== null || document.activeElement === box) return;
    cursor = null;
    draw();
  });

  return {
    element,
    /**
     * @param {Point[]} newPoints in the order of time
     * @param {Mark[]} [newMarks]
     */
    update: (newPoints, newMarks = marks) => {
      // The cursor stays at its time.
      const keep = (/** @type {number | null} */ index) => {
        const at = index === null ? undefined : points[index]?.at;
        const found = at === undefined ? -1 : newPoints.findIndex((point) => point.at + point.seconds * 1000 > at);
        return found < 0 ? null : found;
      };
      [cursor, anchor] = [keep(cursor), keep(anchor)];
      points = newPoints;
      marks = newMarks;
      draw();
    },
  };
}

/** The next round number above. @param {number} value */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value) ?? 10;
  return step * power;
}
