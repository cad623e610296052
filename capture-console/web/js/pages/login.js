// The login over TCP: a token for a cookie. On the Unix socket nobody sees this.

import { Problem, call } from '../api.js';
import { el, replace, set } from '../dom.js';
import { errorText, notice } from '../ui.js';
import { t } from '../words.js';

/**
 * @param {HTMLElement} root
 * @param {() => Promise<void>} enter goes on, once the login is done
 */
export function show(root, enter) {
  const token = el('input', { id: 'token', type: 'password', autocomplete: 'current-password', spellcheck: 'false', required: true, autofocus: true, placeholder: 'cap_…', 'aria-describedby': 'token-help' });
  const said = el('div', { 'aria-live': 'assertive' });
  const submit = el('button', { type: 'submit', class: 'button primary' }, t('login.submit'));
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    replace(said);
    set(submit, { disabled: true });
    try {
      await call('POST', 'session', { body: { token: token.value.trim() }, quiet: true });
      await enter();
    } catch (error) {
      const isWrong = error instanceof Problem && error.status === 401;
      replace(said, notice('high', isWrong ? t('login.wrong') : errorText(error)));
      token.select();
    } finally {
      set(submit, { disabled: null });
    }
  };
  replace(root, el('main', { class: 'login' },
    el('form', { class: 'card', onsubmit: send },
      el('h1', null, 'capture-agent'),
      el('p', null, t('login.why')),
      el('label', { for: 'token' }, t('login.token')),
      token,
      el('p', { id: 'token-help', class: 'help' }, t('login.help'), ' ', el('code', null, 'capture-agent token create')),
      said, submit)));
  token.focus();
}
