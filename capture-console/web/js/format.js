// Numbers, sizes, times and durations for people, in the reader's language and zone.

import { locale, t } from './words.js';

/** @type {Map<string, any>} */
const formats = new Map();

/**
 * @template T
 * @param {string} name
 * @param {() => T} make
 * @returns {T}
 */
function format(name, make) {
  const key = `${locale()} ${name}`;
  let found = formats.get(key);
  if (!found) {
    found = make();
    formats.set(key, found);
  }
  return found;
}

/**
 * @param {number} value
 * @param {number} [digits] most digits behind the point
 */
export function number(value, digits = 0) {
  return format(`number ${digits}`, () => new Intl.NumberFormat(locale(), { maximumFractionDigits: digits })).format(value);
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/**
 * Bytes in powers of 1,000, as the command line has them.
 * @param {number} value
 */
export function bytes(value) {
  let unit = 0;
  let scaled = value;
  while (scaled >= 999.5 && unit < SIZES.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : 1;
  return `${number(scaled, digits)} ${SIZES[unit]}`;
}

/**
 * A large count in few characters: 1.2 M.
 * @param {number} value
 */
export function compact(value) {
  return format('compact', () => new Intl.NumberFormat(locale(), { notation: 'compact', maximumFractionDigits: 1 })).format(value);
}

/**
 * Part of a whole, 0 to 1, as per cent.
 * @param {number} value
 * @param {number} [digits]
 */
export function percent(value, digits = 1) {
  return format(`percent ${digits}`, () => new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits })).format(value);
}

/**
 * @param {number} packets a second
 */
export function packetRate(packets) {
  return t('format.packets_per_second', { rate: packets < 10 ? number(packets, 1) : compact(packets) });
}

/**
 * @param {number} value bytes a second
 */
export function byteRate(value) {
  return t('format.bytes_per_second', { rate: bytes(value) });
}

/**
 * A duration: 1 h 12 m, 9.5 s, 12 ms.
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds < 1e-3 && seconds > 0) return t('format.microseconds', { count: number(seconds * 1e6, 0) });
  if (seconds < 1 && seconds > 0) return t('format.milliseconds', { count: number(seconds * 1e3, seconds < 0.1 ? 1 : 0) });
  if (seconds < 10) return t('format.seconds', { count: number(seconds, 1) });
  let left = Math.round(seconds);
  const days = Math.floor(left / 86400);
  left -= days * 86400;
  const hours = Math.floor(left / 3600);
  left -= hours * 3600;
  const minutes = Math.floor(left / 60);
  left -= minutes * 60;
  const all = [
    days && t('format.days', { count: number(days) }),
    hours && t('format.hours', { count: number(hours) }),
    minutes && t('format.minutes', { count: number(minutes) }),
    left && t('format.seconds', { count: number(left) }),
  ].filter(Boolean);
  return all.slice(0, 2).join(' ') || t('format.seconds', { count: number(0) });
}

/**
 * Date and time in the reader's zone, to the second.
 * @param {string | Date} time
 */
export function dateTime(time) {
  return format('dateTime', () => new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' })).format(new Date(time));
}

/**
 * Time of day, to the second.
 * @param {string | Date} time
 */
export function timeOfDay(time) {
  return format('timeOfDay', () => new Intl.DateTimeFormat(locale(), { timeStyle: 'medium' })).format(new Date(time));
}

/**
 * Time of day of a packet with all digits of its second, in the reader's zone. RFC 3339 has more digits than a `Date`.
 * @param {string} time
 * @param {number} [digits]
 */
export function packetTime(time, digits = 6) {
  const fraction = (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(9, '0').slice(0, digits);
  const of = new Date(time);
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  return `${two(of.getHours())}:${two(of.getMinutes())}:${two(of.getSeconds())}.${fraction}`;
}

/**
 * Nanoseconds since the epoch.
 * @param {string} time RFC 3339
 * @returns {bigint}
 */
export function nanos(time) {
  const fraction = (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(9, '0').slice(0, 9);
  const seconds = Math.floor(new Date(time.replace(/\.\d+/, '')).getTime() / 1000);
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction);
}

/**
 * How long ago or ahead, in words.
 * @param {string | Date} time
 * @param {number} [now] milliseconds
 */
export function relative(time, now = Date.now()) {
  const seconds = (new Date(time).getTime() - now) / 1000;
  const words = format('relative', () => new Intl.RelativeTimeFormat(locale(), { numeric: 'auto' }));
  const size = Math.abs(seconds);
  if (size < 60) return words.format(Math.trunc(seconds), 'second');
  if (size < 3600) return words.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86400) return words.format(Math.trunc(seconds / 3600), 'hour');
  return words.format(Math.trunc(seconds / 86400), 'day');
}

const BITS = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'];

/**
 * Bits a second in powers of 1,000.
 * @param {number} value
 */
export function bits(value) {
  let unit = 0;
  let scaled = value;
  while (scaled >= 999.5 && unit < BITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${number(scaled, unit === 0 || scaled >= 99.95 ? 0 : 1)} ${BITS[unit]}`;
}
