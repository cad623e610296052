// Findings about a task's packets, for the pages that show them: the report, a finding with its evidence, and the way to
// the packets that it cites.

import { Problem, REPORTED, get } from './api.js';
import { el } from './dom.js';
import * as format from './format.js';
import { link } from './router.js';
import { copyLine, foreign, severityBadge } from './ui.js';
import { has, t } from './words.js';

/** @typedef {Record<string, any>} Finding see docs/reference/analysis.md */

/** From the worst down. */
export const SEVERITIES = ['high', 'warn', 'info'];
const MOST_LINKS = 8;

/**
 * The report of a task; null where there is none.
 * @param {string} id
 * @returns {Promise<any>}
 */
export async function findingsOf(id) {
  try {
    const report = await get(`tasks/${id}/findings`, REPORTED);
    return report.absent ? null : report;
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}

/**
 * The packet view with the packets of a finding, at one that it cites; null where it cites none.
 * @param {import('./live.js').Task} task its `place` is where its packets are shown, if not on a page of the task
 * @param {Finding} finding
 * @param {any} [cited] the first, where none is given
 */
export function evidence(task, { packets, check }, cited = packets?.[0]) {
  if (cited === undefined || cited === null) return null;
  const isOfMany = typeof cited === 'object';
  // A report counts files from 0; of a ring the first have gone.
  const file = isOfMany ? task.files[cited.file]?.index ?? cited.file : null;
  // A share shows all files as one, in which packets have other numbers.
  if (task.place) return link(task.place, { n: isOfMany ? null : cited, filter: check });
  return link(['tasks', task.id, 'packets'], { file, n: isOfMany ? cited.number : cited, filter: check });
}

/** @param {any} cited */
const citation = (cited) => (typeof cited === 'object' ? `${cited.file} : ${format.number(cited.number)}` : format.number(cited));

/**
 * How many findings there are of each severity.
 * @param {Finding[]} findings
 * @returns {Record<string, number>}
 */
export function counts(findings) {
  return Object.fromEntries(SEVERITIES.map((severity) => [severity, findings.filter((finding) => finding.severity === severity).length]));
}

/**
 * A finding: what it says, what it is about, the packets that show it, and what else it could be.
 * @param {import('./live.js').Task} task whose packets they are
 * @param {Finding} finding
 * @returns {HTMLElement}
 */
export function findingCard(task, finding) {
  const { severity, confidence, summary, subject, since, until, count, packets = [], check, alternatives = [], reference, code } = finding;
  const times = since && [format.packetTime(since, 3), until && until !== since && format.packetTime(until, 3)].filter(Boolean).join(' – ');
  const facts = [times, count > 1 && t('findings.times', { count }), t(`confidence.${confidence}`)].filter(Boolean).join(' · ');
  return el('li', { class: `card finding ${severity}`, dataset: { severity } },
    el('div', { class: 'finding-head' }, severityBadge(severity), title(code), el('code', { class: 'muted' }, foreign(code))),
    el('p', { class: 'finding-summary' }, foreign(summary)),
    el('div', { class: 'help' }, subjectText(subject) && [el('span', { class: 'mono' }, foreign(subjectText(subject))), ' · '], facts),
    packets.length > 0 && el('div', { class: 'finding-packets' },
      el('a', { class: 'button', href: evidence(task, finding) }, t('findings.see')),
      el('span', { class: 'help' }, t('findings.cited')),
      packets.slice(0, MOST_LINKS).map((/** @type {any} */ cited) => el('a', { class: 'number', href: evidence(task, finding, cited) }, citation(cited)))),
    el('details', null, el('summary', null, t('findings.more')),
      el('div', { class: 'stack' },
        alternatives.length > 0 && el('div', null, el('h3', null, t('findings.alternatives')), el('ul', { class: 'alternatives' }, alternatives.map((/** @type {string} */ text) => el('li', null, foreign(text))))),
        reference && el('p', null, el('span', { class: 'muted' }, t('findings.reference')), ' ', foreign(reference)),
        check && task.id && copyLine(checkLine(task, check), t('findings.check')))));
}

/** A finding's name in the reader's language: its sentence is the agent's own. @param {string} code */
const title = (code) => has(`finding.${code}`) && el('b', null, t(`finding.${code}`));

/** @param {import('./live.js').Task} task @param {string} check */
const checkLine = (task, check) => `capture-agent task download ${task.id} -w - | tshark -r - -Y '${check.replaceAll("'", `'\\''`)}'`;

/**
 * What a finding is about, as `10.0.0.9 → 10.0.0.5:443 (tcp)`.
 * @param {Record<string, any>} subject
 */
export function subjectText(subject = {}) {
  const end = (/** @type {string | null | undefined} */ address, /** @type {number | null | undefined} */ port) => [address?.includes(':') && port ? `[${address}]` : address, port].filter((part) => part !== null && part !== undefined).join(':');
  const ends = [end(subject.source, subject.source_port), end(subject.destination, subject.destination_port)].filter(Boolean).join(' → ');
  return [ends, subject.protocol && `(${subject.protocol})`, subject.via && `via ${subject.via}`, subject.mac, subject.name].filter(Boolean).join(' ');
}
