// A fault in the reader's language, and one click where it names what was meant. Only the service knows what is wrong;
// this reads the data of its answer, see docs/reference/faults.md.

import { fieldOf, joinRanges } from './spec.js';
import { has, t } from './words.js';

/** @typedef {Record<string, any>} Fault of an answer, with `reason` and its members */

/** @type {Record<string, (fault: Fault) => (string | undefined)[] | null>} text that is there → what was meant, and ports */
const MEANT = {
  port_range_backwards: ({ text, first, last }) => [text, `${Math.min(first, last)}-${Math.max(first, last)}`],
  address_range_backwards: ({ text, first, last }) => [text, `${last}-${first}`],
  address_with_port: ({ text, address, port }) => [text, address, String(port)],
  address_in_brackets: ({ text, address }) => [text, address],
  ipv4_mapped: ({ text, ipv4 }) => [text, ipv4],
  netmask: ({ text, prefix_length }) => (prefix_length === undefined || prefix_length === null ? null : [text, `${String(text).split(/[/\s]/)[0]}/${prefix_length}`]),
  no_such_interface: ({ name, near }) => (near ? [name, near] : null),
  unknown_word: ({ word, near }) => (near ? [word, near] : null),
};

/**
 * What is wrong, in the reader's language where there are words for it, else as the service says it.
 * @param {Fault} fault
 */
export function faultText(fault) {
  const key = `fault.${fault.reason}`;
  if (!fault.reason || !has(key)) return fault.detail;
  const named = /** @type {Record<string, any>} */ ({ ...fault });
  if (fault.code_point !== undefined) named.code_point = `U+${Number(fault.code_point).toString(16).toUpperCase().padStart(4, '0')}`;
  if (fault.address_type) named.address_type = t(`new.address_type.${fault.address_type}`);
  if (fault.field && has(`new.${fault.field}`)) named.field = t(`new.${fault.field}`);
  return t(key, named);
}

/**
 * What to put into which fields, and how to call it; null where the fault does not say.
 * @param {Fault} fault
 * @param {Record<string, string>} values as they are
 * @returns {{label: string, values: Record<string, string>} | null}
 */
export function fixOf(fault, values) {
  const meant = MEANT[fault.reason]?.(fault);
  const [text, better, ports] = meant ?? [];
  if (!better) return null;
  const key = fieldOf(fault.pointer);
  const now = ['ip', 'peer_ip'].includes(key) ? joinRanges(values[key] ?? '') : values[key] ?? '';
  /** @type {Record<string, string>} */
  const fixed = { [key]: text && now.includes(text) ? now.replace(text, () => better) : better };
  if (ports) fixed[key === 'peer_ip' ? 'peer_ports' : 'ports'] = ports;
  return { label: ports ? `${better} : ${ports}` : better, values: fixed };
}
