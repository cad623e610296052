// What a link shows to whoever has it, without a token: the outcome of one task, what was found, and its packets, to look at
// and as a file, as far as the link goes. The secret is in the address and goes to the service as the header `Share`.

import { Problem, REPORTED, get, raw, setHeaders } from '../api.js';
import { el, replace } from '../dom.js';
import { counts, findingCard } from '../findings.js';
import * as format from '../format.js';
import { outcome } from '../outcome.js';
import { View } from '../packets/view.js';
import { attempt, blank, button, errorText, foreign, loading, notice, severityBadge, stateBadge, style } from '../ui.js';
import { t } from '../words.js';

/** @typedef {import('../router.js').Place} Place */

/** Most bytes that are downloaded by way of the page's memory. */
const MOST_BYTES = 1 << 30;

/** What is shown now: its packets, if it has some. @type {{secret: string, view: View | null} | null} */
let shown = null;

export const title = () => t('shared.title');

/** @param {HTMLElement} root @param {Place} at */
export async function show(root, at) {
  const secret = at.path[1] ?? '';
  setHeaders({ Share: secret });
  replace(root, loading());
  await Promise.all([style('task'), style('packets')]);
  let shared;
  try {
    shared = await get('shared', REPORTED);
  } catch (error) {
    replace(root, blank(t('error.title'), el('p', null, errorText(error))));
    return undefined;
  }
  if (shared.absent) {
    replace(root, blank(t('shared.over'), el('p', null, t('shared.over_why'))));
    return undefined;
  }
  const packets = shared.packets === 'none' ? null : el('section', { class: 'shared-packets' }, el('h2', null, t('tabs.packets')));
  replace(root, head(shared), el('div', { class: 'stack' }, terms(shared), findings(shared, packets ? ['share', secret] : null), packets));
  const body = el('div', { class: 'pk' });
  packets?.append(body);
  const view = packets && new View(body, { path: 'shared', filter: 'shared/filter', task: null, isRunning: false, sharkd: false, files: [] }, at);
  const mine = { secret, view };
  shown = mine;
  return () => {
    view?.stop();
    if (shown === mine) shown = null;
  };
}

/** @param {Place} at */
export function update(at) {
  if (!shown || shown.secret !== at.path[1]) return false;
  shown.view?.update(at);
  // From a finding to its packets.
  if (shown.view && !shown.view.root.contains(document.activeElement)) shown.view.root.scrollIntoView({ block: 'nearest' });
  return true;
}

/** @param {any} shared */
function head({ task, packets }) {
  return el('div', { class: 'page-head' },
    el('div', { class: 'row' }, el('h1', { class: 'clip' }, foreign(task.name ?? t('shared.unnamed'))), stateBadge(task.state)),
    packets !== 'none' && button('shared.download', download, { icon: 'download' }));
}

/** What became of the task, and what the link shows of it. @param {any} shared */
function terms({ task, expires_at: end, anonymise, packets }) {
  const { kind, text } = outcome({ ...task, spec: {} });
  const seconds = (new Date(task.ended_at ?? task.started_at).getTime() - new Date(task.started_at).getTime()) / 1000;
  return [
    notice(kind, el('b', null, text), task.started_at && el('div', null, t('shared.when', { from: format.dateTime(task.started_at), time: format.duration(seconds) }))),
    el('p', { class: 'help' }, t('shared.until', { when: format.dateTime(end) }), ' ', anonymise && t('shared.anonymised'), ' ', packets === 'headers' && t('shared.headers_only')),
  ];
}

/**
 * @param {any} shared
 * @param {string[] | null} place where packets are shown, if they are
 */
function findings({ findings: report }, place) {
  if (!report) return null;
  const found = report.findings ?? [];
  const task = /** @type {any} */ ({ id: '', files: [], place });
  const cards = found.map((/** @type {any} */ finding) => findingCard(task, place ? finding : { ...finding, packets: [] }));
  return el('section', null,
    el('h2', { class: 'row' }, t('tabs.findings'), Object.entries(counts(found)).filter(([, count]) => count > 0).map(([severity, count]) => severityBadge(severity, count))),
    found.length === 0 ? el('p', null, t('findings.none')) : el('ul', { class: 'findings' }, cards));
}

/** A link of the browser's own cannot carry the secret in a header, so the file comes through the page. */
async function download() {
  await attempt(async () => {
    const answer = await raw('shared/file');
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})), null);
    if (Number(answer.headers.get('content-length') ?? 0) > MOST_BYTES) throw new Error(t('shared.too_large'));
    const name = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition') ?? '')?.[1] ?? 'capture.pcapng';
    const href = URL.createObjectURL(await answer.blob());
    const anchor = el('a', { href, download: name });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  });
}
