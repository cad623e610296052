// Where the page is, in the fragment of its address: `#/tasks/ID/packets?filter=dns`. So every view is a link.

/**
 * @typedef {object} Place
 * @property {string[]} path parts of the path, decoded
 * @property {URLSearchParams} query
 */

/** Tells `change` when the place is another. */
export const places = new EventTarget();

/** @returns {Place} */
export function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?', 2);
  return { path: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query ?? '') };
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The address of a place, for `href`.
 * @param {string[]} path
 * @param {Record<string, any> | URLSearchParams} [query] without what is null, undefined or empty
 */
export function link(path, query) {
  const search = new URLSearchParams();
  const pairs = query instanceof URLSearchParams ? [...query] : Object.entries(query ?? {});
  for (const [name, value] of pairs) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

/**
 * Goes to a place.
 * @param {string[]} path
 * @param {Record<string, any> | URLSearchParams} [query]
 */
export function go(path, query) {
  location.hash = link(path, query);
}

/** The address that pages know. Where it is another, its `change` is still to come. */
let known = location.hash;

/**
 * Changes parameters of this place without a step in the history, and without a `change`: who calls has changed what is
 * shown already.
 * @param {Record<string, any>} changes null or empty removes a parameter
 */
export function setQuery(changes) {
  // The page that calls is about to be left, and the new address is not its own.
  if (location.hash !== known) return;
  const { path, query } = place();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') query.delete(name);
    else query.set(name, String(value));
  }
  history.replaceState(null, '', link(path, query));
  known = location.hash;
}

addEventListener('hashchange', () => {
  known = location.hash;
  places.dispatchEvent(new Event('change'));
});
