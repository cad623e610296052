// A task as it is asked for: its fields as texts of the form, and as parameters of `#/new`, so that every task can be a
// link to the form that makes one like it.

/** @typedef {Record<string, any>} Spec the fields of docs/reference/task.md */

/** @typedef {Record<string, string>} Values the fields of the form as texts; what is empty is not asked for */

/** Fields of the form in their order; those of `rotate` each by itself. */
export const FIELDS = ['name', 'max_bytes', 'oversize', 'duration', 'protocol', 'address_type', 'ip', 'ports', 'peer_ip', 'peer_ports',
  'interfaces', 'direction', 'hook', 'icmp_errors', 'max_packets', 'max_file_bytes', 'rotate_bytes', 'rotate_seconds', 'rotate_files', 'format', 'start_at'];

/** What a field is where nothing is chosen. @type {Values} */
const CHOSEN = { protocol: 'all', address_type: 'any', oversize: 'truncate', interfaces: 'any', direction: 'both', hook: 'auto', format: 'pcapng' };

/** Other names of fields in addresses that people write. @type {Values} */
const ALSO = { ports: 'port', peer_ports: 'peer_port', interfaces: 'interface' };

/** Fields that are numbers, or texts with a unit. */
const QUANTITIES = ['max_bytes', 'duration', 'max_packets', 'max_file_bytes'];

/**
 * The fields of a task as the form has them.
 * @param {Spec} spec
 * @returns {Values}
 */
export function valuesOf(spec) {
  /** @type {Values} */
  const values = {};
  for (const key of FIELDS) {
    const value = key.startsWith('rotate_') ? spec.rotate?.[key.slice(7)] : spec[key];
    if (value === null || value === undefined || value === false) continue;
    values[key] = Array.isArray(value) ? value.join(', ') : String(value);
  }
  if (!values.address_type) values.address_type = values.peer_ip ? 'ip_pair' : values.ip ? 'ip' : 'any';
  return values;
}

/**
 * The fields that an address asks for: `?ip=10.0.0.5&port=443`.
 * @param {URLSearchParams} query
 * @returns {Values}
 */
export function valuesOfQuery(query) {
  /** @type {Values} */
  const values = {};
  for (const key of FIELDS) {
    const value = query.get(key) ?? query.get(ALSO[key] ?? key);
    if (value !== null) values[key] = value;
  }
  if (!values.address_type && (values.ip || values.peer_ip)) values.address_type = values.peer_ip ? 'ip_pair' : 'ip';
  return values;
}

/**
 * The same without what is chosen anyway, for the address.
 * @param {Values} values
 * @returns {Record<string, string | null>}
 */
export function queryOf(values) {
  const own = FIELDS.map((key) => [key, values[key] && values[key] !== CHOSEN[key] ? values[key] : null]);
  return Object.fromEntries([...own, ...Object.values(ALSO).map((name) => [name, null])]);
}

/**
 * The address of the form with the fields of a task, some of them others.
 * @param {Spec} spec
 * @param {Values} [other]
 */
export function queryLike(spec, other = {}) {
  return queryOf({ ...valuesOf(spec), start_at: '', ...other });
}

/**
 * What is sent. Nothing is checked here: a field that is not understood goes as it was typed, and the answer says what
 * is wrong with it.
 * @param {Values} values
 * @returns {Spec}
 */
export function specOf(values) {
  const all = { ...CHOSEN, ...Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '')) };
  /** @type {Spec} */
  const spec = { name: all.name ?? '', interfaces: words(all.interfaces) };
  const shown = shownFields(all);
  for (const key of FIELDS.slice(1)) {
    // What is so anyway need not be asked for.
    if (key === 'interfaces' || all[key] === undefined || all[key] === CHOSEN[key] || !shown.has(key)) continue;
    if (key.startsWith('rotate_')) {
      spec.rotate ??= {};
      spec.rotate[key.slice(7)] = quantity(all[key]);
    } else if (key === 'ports' || key === 'peer_ports') spec[key] = words(all[key]).map(quantity);
    else if (key === 'ip' || key === 'peer_ip') spec[key] = addresses(all[key]);
    else if (key === 'icmp_errors') spec[key] = all[key] === 'true';
    else if (QUANTITIES.includes(key)) spec[key] = quantity(all[key]);
    else spec[key] = all[key];
  }
  return spec;
}

/**
 * The fields that apply to what is chosen: addresses by their type, and no ports of ICMP.
 * @param {Values} values
 */
export function shownFields(values) {
  const type = values.address_type ?? 'any';
  const isPair = type === 'ip_pair';
  const hidden = new Set();
  if (type === 'any') hidden.add('ip');
  if (!isPair) hidden.add('peer_ip').add('peer_ports');
  if (values.protocol === 'icmp') hidden.add('ports').add('peer_ports');
  return new Set(FIELDS.filter((key) => !hidden.has(key)));
}

/** @param {string} text */
const words = (text) => text.split(/[\s,，、;；]+/).filter(Boolean);

/** Ranges of addresses without spaces around their dash, which separate nothing. @param {string} text */
export const joinRanges = (text) => text.replace(/\s*[-–]\s*/g, '-');

/** One address as text, several as a list. @param {string} text */
const addresses = (text) => {
  const all = words(joinRanges(text));
  return all.length > 1 ? all : all[0] ?? text;
};

/** @param {string} text */
const quantity = (text) => (/^\d{1,15}$/.test(text.trim()) ? Number(text) : text.trim());

/**
 * Which field a JSON pointer means.
 * @param {string} pointer
 */
export function fieldOf(pointer) {
  const [first = '', second] = pointer.split('/').slice(1);
  return first === 'rotate' ? (second ? `rotate_${second}` : 'rotate_bytes') : first;
}

/**
 * Seconds of a duration: a number, or a text such as `1h30m`. NaN where it is none.
 * @param {unknown} value
 */
export function secondsOf(value) {
  if (typeof value === 'number') return value;
  const text = String(value ?? '').trim();
  if (!/^(\d+[dhms]?)+$/.test(text)) return NaN;
  const units = /** @type {Record<string, number>} */ ({ d: 86400, h: 3600, m: 60, s: 1, '': 1 });
  return [...text.matchAll(/(\d+)([dhms]?)/g)].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit], 0);
}

/**
 * Bytes of a size: a number, or a text such as `500MB` or `64MiB`. NaN where it is none.
 * @param {unknown} value
 */
export function bytesOf(value) {
  if (typeof value === 'number') return value;
  const found = /^\s*(\d+)\s*([kmgt]?)(i?)(b?)\s*$/i.exec(String(value ?? ''));
  if (!found) return NaN;
  const [, count, unit, binary, byte] = found;
  const base = unit && !binary && byte ? 1000 : 1024;
  return Number(count) * base ** ' kmgt'.indexOf(unit.toLowerCase() || ' ');
}
