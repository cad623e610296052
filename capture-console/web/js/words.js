// The words of the page in the reader's language. A key that is missing shows itself and is an error in the console;
// a test compares the catalogs.

/** Languages by their codes, each under its own name. */
export const LANGUAGES = /** @type {const} */ ({ en: 'English', zh: '简体中文', de: 'Deutsch' });

const STORED = 'language';

/** @type {Record<string, any>} */
let catalog = {};
let language = 'en';
/** @type {Intl.PluralRules} */
let plurals = new Intl.PluralRules('en');

/** The locale for numbers and times. */
export function locale() {
  return language === 'zh' ? 'zh-CN' : language;
}

/** The code of the language in force. */
export function currentLanguage() {
  return language;
}

/**
 * Loads the language that was chosen, or the first of the browser's that is there.
 * @param {string} [chosen]
 */
export async function load(chosen) {
  if (chosen) localStorage.setItem(STORED, chosen);
  const wanted = [localStorage.getItem(STORED), ...navigator.languages].map((tag) => (tag ?? '').split('-')[0]);
  language = wanted.find((tag) => tag && tag in LANGUAGES) ?? 'en';
  const answer = await fetch(new URL(`../words/${language}.json`, import.meta.url));
  catalog = await answer.json();
  plurals = new Intl.PluralRules(locale());
  document.documentElement.lang = locale();
}

/**
 * The text of a key, with `{name}` replaced by the parameter of that name. A text with forms, as in
 * `{"one": …, "other": …}`, is chosen by `count`.
 * @param {string} key
 * @param {Record<string, string | number>} [params]
 * @returns {string}
 */
export function t(key, params) {
  let text = catalog[key];
  if (text === undefined) {
    console.error(`no word for ${key}`);
    return key;
  }
  if (typeof text === 'object') {
    const count = Number(params?.count ?? 0);
    text = text[plurals.select(count)] ?? text.other;
  }
  if (!params) return text;
  return text.replace(/\{(\w+)\}/g, (/** @type {string} */ whole, /** @type {string} */ name) => {
    const value = params[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? new Intl.NumberFormat(locale()).format(value) : value;
  });
}

/**
 * Whether there is a text of this key.
 * @param {string} key
 */
export function has(key) {
  return catalog[key] !== undefined;
}

/**
 * A text whose `{name}` becomes a node.
 * @param {string} key
 * @param {Record<string, Node | string | number>} params
 * @returns {(Node | string)[]}
 */
export function parts(key, params) {
  return t(key).split(/(\{\w+\})/).map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    const value = name === undefined ? part : params[name] ?? part;
    return value instanceof Node ? value : String(value);
  });
}
