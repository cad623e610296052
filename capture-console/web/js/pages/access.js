// Tokens and sessions: who can come in, and who is in.

import { del, get, post } from '../api.js';
import { el, replace, set } from '../dom.js';
import * as format from '../format.js';
import { may } from '../frame.js';
import { attempt, button, confirm, copyLine, dialog, empty, errorText, icon, loading, notice, style } from '../ui.js';
import { t } from '../words.js';

export const title = () => t('nav.access');

const ROLES = ['viewer', 'operator', 'admin'];

/** Lives of a new token, in seconds; the last never ends. */
const LIVES = [86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400, 0];

/** @param {HTMLElement} root */
export async function show(root) {
  await style('admin');
  const tokens = el('section', null, loading());
  const sessions = el('section', null, loading());
  replace(root, el('div', { class: 'page-head' }, el('h1', null, t('nav.access'))), el('div', { class: 'stack' }, tokens, sessions));
  const fillTokens = async () => {
    const answer = await attempt(() => get('tokens'));
    if (!answer) return replace(tokens);
    const heads = ['name', 'role', 'account', 'created', 'used', 'ends'].map((name) => el('th', { scope: 'col' }, t(`access.${name}`)));
    replace(tokens,
      el('div', { class: 'page-head' }, el('h2', null, t('access.tokens')), button('access.new_token', newToken, { icon: 'plus' })),
      answer.tokens.length === 0 ? empty(t('access.no_tokens'), el('p', null, t('access.socket_only')))
        : el('div', { class: 'table-box' }, el('table', { class: 'table' }, el('thead', null, el('tr', null, heads, el('th', { scope: 'col' }, el('span', { class: 'visually-hidden' }, t('access.actions'))))), el('tbody', null, answer.tokens.map(tokenRow)))));
  };
  const fillSessions = async () => {
    const answer = await attempt(() => get('sessions'));
    if (!answer) return replace(sessions);
    const heads = ['name', 'role', 'from', 'created', 'used', 'ends'].map((name) => el('th', { scope: 'col' }, t(`access.${name}`)));
    replace(sessions,
      el('div', { class: 'page-head' }, el('h2', null, t('access.sessions'))),
      answer.sessions.length === 0 ? el('p', { class: 'muted' }, t('access.no_sessions'))
        : el('div', { class: 'table-box' }, el('table', { class: 'table' }, el('thead', null, el('tr', null, heads, el('th', { scope: 'col' }, el('span', { class: 'visually-hidden' }, t('access.actions'))))), el('tbody', null, answer.sessions.map(sessionRow)))));
  };

  /** @param {any} token */
  function tokenRow(token) {
    const isOver = token.revoked_at || (token.expires_at && new Date(token.expires_at) < new Date());
    return el('tr', { class: isOver ? 'muted' : null },
      el('th', { scope: 'row' }, token.name, el('div', { class: 'muted mono' }, token.id)),
      el('td', null, t(`role.${token.role}`)), el('td', null, token.account ?? '–'),
      when(token.created_at), when(token.used_at),
      el('td', null, token.revoked_at ? el('span', { class: 'badge' }, t('access.revoked')) : token.expires_at ? ago(token.expires_at) : t('access.never')),
      el('td', { class: 'number' }, !isOver && button('access.revoke', async () => {
        if (!(await confirm(t('access.revoke_title', { name: token.name }), el('p', null, t('access.revoke_text')), t('access.revoke')))) return;
        await attempt(() => del(`tokens/${token.id}`));
        await Promise.all([fillTokens(), fillSessions()]);
      }, { kind: 'quiet danger' })));
  }

  /** @param {any} session */
  function sessionRow(session) {
    return el('tr', null,
      el('th', { scope: 'row' }, session.name, session.current && el('span', { class: 'badge state-running' }, icon('user'), t('access.this_one')), el('div', { class: 'muted clip agent' }, session.user_agent)),
      el('td', null, t(`role.${session.role}`)), el('td', { class: 'mono' }, session.from),
      when(session.created_at), when(session.used_at), when(session.expires_at),
      el('td', { class: 'number' }, button('access.end', async () => {
        await attempt(() => del(`sessions/${session.id}`));
        await fillSessions();
      }, { kind: 'quiet danger' })));
  }

  async function newToken() {
    const name = el('input', { id: 'token-name', required: true, maxlength: 64, pattern: '[A-Za-z0-9._@\\-]{1,64}', autofocus: true, spellcheck: 'false' });
    const role = el('select', { id: 'token-role' }, ROLES.map((one) => el('option', { value: one }, t(`role.${one}`))));
    const account = el('input', { id: 'token-account', maxlength: 64, spellcheck: 'false' });
    const life = el('select', { id: 'token-life' }, LIVES.map((seconds) => el('option', { value: seconds }, seconds ? format.duration(seconds) : t('access.never'))));
    life.value = String(LIVES[2]);
    const said = el('div', { 'aria-live': 'assertive' });
    const secret = el('div');
    const submit = el('button', { type: 'button', class: 'button primary' }, t('access.make'));
    const field = (/** @type {string} */ id, /** @type {any} */ control, /** @type {string} */ help) => el('div', { class: 'field' }, el('label', { for: `token-${id}` }, t(`access.${id}`)), control, el('span', { class: 'help' }, help));
    const form = el('div', { class: 'stack' }, field('name', name, t('access.name_help')), field('role', role, t('access.role_help')), field('account', account, t('access.account_help')), field('life', life, ''), said, submit);
    submit.addEventListener('click', async () => {
      set(submit, { disabled: true });
      try {
        const expires = Number(life.value);
        const answer = await post('tokens', { name: name.value.trim(), role: role.value, ...(account.value.trim() ? { account: account.value.trim() } : {}), ...(expires ? { expires_in: expires } : {}) });
        replace(form, notice('warn', t('access.shown_once')), secret);
        replace(secret, copyLine(answer.secret, t('access.secret_of', { name: answer.token.name })));
        fillTokens();
      } catch (error) {
        replace(said, notice('high', errorText(error)));
      } finally {
        set(submit, { disabled: null });
      }
    });
    await dialog(t('access.new_token'), form, [], 'narrow');
  }

  await Promise.all([may('administer') ? fillTokens() : replace(tokens), fillSessions()]);
}

/** @param {string | null | undefined} time */
function when(time) {
  return el('td', { title: time ? format.dateTime(time) : null }, time ? format.relative(time) : '–');
}

/** @param {string} time */
function ago(time) {
  return el('span', { title: format.dateTime(time) }, format.relative(time));
}
