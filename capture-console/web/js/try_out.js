// Tries a task out before it is created. Faults and refusals are then an answer of 200, for which a browser logs no error.

import { Problem, call } from './api.js';

/** Warnings of a dry run about what refuses the task now. */
const REFUSED = ['edition', 'quota', 'disk_budget'];

/**
 * The preview of a task, or its faults.
 * @param {unknown} spec
 * @param {AbortSignal} [signal]
 * @returns {Promise<Record<string, any>>}
 */
export const tryOut = (spec, signal) => call('POST', 'tasks', { query: { dry_run: 'report' }, body: spec, signal });

/**
 * The warning that a task without faults would be refused now.
 * @param {Record<string, any>} tried
 * @returns {{code: string, detail: string} | undefined}
 */
export const refusal = (tried) => tried.warnings.find((/** @type {any} */ { code }) => REFUSED.includes(code));

/**
 * Creates a task. One that would be refused is not sent.
 * @param {unknown} spec
 * @returns {Promise<import('./live.js').Task>}
 */
export async function create(spec) {
  const tried = await tryOut(spec);
  if (!tried.valid) throw new Problem(422, { ...tried, detail: tried.errors[0].detail }, null);
  const against = refusal(tried);
  if (against) throw new Problem(429, { detail: against.detail }, null);
  return call('POST', 'tasks', { body: spec });
}
