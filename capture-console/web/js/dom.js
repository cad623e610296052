// Makes elements. Text only ever becomes text: there is no way from a string to markup here, and the page's policy
// forbids any other.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, any>} Props */

const SVG = 'http://www.w3.org/2000/svg';

/** Characters that nobody sees: those of control but tab and line feed, and those that turn the text around them. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * A text with unseen characters as their numbers. An isolate that a text opens and does not close would reach beyond a
 * `bdi` around it.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * An HTML element.
 *
 * Of `props`, functions named `on…` listen, `style` and `dataset` are objects, booleans set or leave out an attribute,
 * `value`, `checked` and `indeterminate` are properties, and the rest are attributes.
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/**
 * Gives an element new children in the place of all that it has.
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/**
 * Sets what `el` sets, on an element that is there.
 * @param {any} element
 * @param {Props} props
 */
export function set(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on') && typeof value === 'function') {
      element.addEventListener(name.slice(2), value);
    } else if (name === 'style') {
      for (const [property, part] of Object.entries(value)) {
        if (part === null || part === undefined) element.style.removeProperty(property);
        else element.style.setProperty(property, String(part));
      }
    } else if (name === 'dataset') {
      Object.assign(element.dataset, value);
    } else if (name === 'value' || name === 'checked' || name === 'indeterminate') {
      // Not where it is equal: that would move the caret.
      if (element[name] !== value) element[name] = value;
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

/**
 * Changes a text where it is another, so that a selection in it stays otherwise.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  const seen = visible(text);
  if (element.textContent !== seen) element.textContent = seen;
}

/**
 * @param {any} element
 * @param {Props | null | undefined} props
 * @param {(Child | Child[])[]} children
 */
function fill(element, props, children) {
  if (props) set(element, props);
  element.append(...nodes(children));
  return element;
}

/**
 * @param {(Child | Child[])[]} children
 * @returns {(Node | string)[]}
 */
function nodes(children) {
  const all = /** @type {Child[]} */ (children.flat(Infinity));
  const there = all.filter((child) => child !== null && child !== undefined && child !== false);
  return there.map((child) => (child instanceof Node ? child : visible(String(child))));
}
