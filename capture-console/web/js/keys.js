// Keys. A page binds its own while it is shown; `?` lists what is bound. Nothing is taken from who types a text, but Esc.

import { t } from './words.js';

/**
 * @typedef {object} Binding
 * @property {string} keys one key, or two with a space between: `n`, `g t`
 * @property {string} word key of the text that says what it does
 * @property {(event: KeyboardEvent) => void} run
 */

/** @type {Binding[]} */
const bindings = [];
let first = '';
let firstAt = 0;

/**
 * Binds keys until the function that it gives is called.
 * @param {Record<string, [string, (event: KeyboardEvent) => void]>} all keys → word and action
 * @returns {() => void}
 */
export function bind(all) {
  const added = Object.entries(all).map(([keys, [word, run]]) => ({ keys, word, run }));
  bindings.push(...added);
  return () => {
    for (const binding of added) bindings.splice(bindings.indexOf(binding), 1);
  };
}

/** What is bound, for the list: the latest binding of each key. */
export function bound() {
  const seen = new Map();
  for (const { keys, word } of bindings) seen.set(keys, t(word));
  return [...seen].map(([keys, text]) => ({ keys, text }));
}

/**
 * Does what keys are bound to.
 * @param {string} keys
 */
export function press(keys) {
  bindings.findLast((binding) => binding.keys === keys)?.run(new KeyboardEvent('keydown'));
}

/** @param {EventTarget | null} target */
function isTyped(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'button', 'submit'].includes(target.type);
}

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  const open = document.querySelector('dialog[open]');
  // A dialog has its own keys.
  if (open) return;
  if (isTyped(event.target)) {
    if (event.key === 'Escape' && event.target instanceof HTMLElement) event.target.blur();
    return;
  }
  // A button does by Enter and Space what it does.
  const isActive = event.target instanceof HTMLElement && event.target.closest('a, button, summary, [role=menuitem]');
  if (isActive && (event.key === 'Enter' || event.key === ' ')) return;
  const pair = Date.now() - firstAt < 1500 ? `${first} ${event.key}` : '';
  const found = bindings.findLast(({ keys }) => keys === pair) ?? bindings.findLast(({ keys }) => keys === event.key);
  first = '';
  if (found) {
    event.preventDefault();
    found.run(event);
  } else if (bindings.some(({ keys }) => keys.startsWith(`${event.key} `))) {
    first = event.key;
    firstAt = Date.now();
  }
});
