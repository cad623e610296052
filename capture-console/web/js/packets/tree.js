// The fields of a packet as a tree, by Wireshark's names. A branch is built when it is first opened.

import { el, replace, set } from '../dom.js';
import { icon } from '../ui.js';
import { t } from '../words.js';

/** @typedef {{name: string, label: string, value: string | null, filter: string | null, offset: number, length: number, children: Node_[]}} Node_ */

/** Most fields of a branch that are shown at first, and characters of a value. */
const MOST_CHILDREN = 300;
const MOST_VALUE = 2048;

/** Layers whose fields are seldom looked for. */
const CLOSED = new Set(['frame', 'eth', 'sll', 'vlan']);

/** Branches that were opened or closed by hand, by name: the next packet shows the same. @type {Map<string, boolean>} */
const chosen = new Map();

export class Tree {
  /** @type {{node: Node_, parent: Node_ | null, box: HTMLElement, group: HTMLElement | null}[]} */
  #items = [];
  /** @type {Node_[]} */
  #nodes = [];
  /** @type {Map<Node_, Node_ | null>} */
  #parents = new Map();
  /** @type {Node_ | null} */
  current = null;

  /** @param {{select: (node: Node_) => void, menu: (node: Node_, x: number, y: number) => void}} told */
  constructor(told) {
    this.told = told;
    this.element = el('div', { class: 'tree', role: 'tree', 'aria-label': t('packets.fields'), tabindex: '-1' });
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.element.addEventListener('click', (/** @type {MouseEvent} */ event) => this.#clicked(event));
    this.element.addEventListener('contextmenu', (/** @type {MouseEvent} */ event) => {
      const item = this.#itemOf(event);
      if (!item) return;
      event.preventDefault();
      this.choose(item.node);
      this.told.menu(item.node, event.clientX, event.clientY);
    });
  }

  /** @param {Node_[]} nodes */
  setNodes(nodes) {
    const before = this.current?.name;
    this.#nodes = nodes;
    this.#items = [];
    this.#parents = new Map();
    const adopt = (/** @type {Node_[]} */ all, /** @type {Node_ | null} */ parent) => {
      for (const node of all) {
        this.#parents.set(node, parent);
        adopt(node.children ?? [], node);
      }
    };
    adopt(nodes, null);
    this.current = null;
    const { scrollTop } = this.element;
    replace(this.element, this.#branch(nodes, null, 1));
    this.element.scrollTop = scrollTop;
    const same = before && this.#items.find(({ node }) => node.name === before)?.node;
    const first = same || nodes[0];
    if (first) this.choose(first, { quiet: !same, scroll: false });
  }

  /** @param {Node_} node */
  #isOpen(node) {
    const depth = this.#parents.get(node) ? 1 : 0;
    return chosen.get(node.name) ?? (depth === 0 && !CLOSED.has(node.name));
  }

  /**
   * @param {Node_[]} nodes
   * @param {Node_ | null} parent
   * @param {number} level
   * @param {number} [from]
   * @returns {HTMLElement[]}
   */
  #branch(nodes, parent, level, from = 0) {
    const all = nodes.slice(from, from + MOST_CHILDREN).map((node, index) => this.#item(node, parent, level, from + index + 1, nodes.length));
    const left = nodes.length - from - MOST_CHILDREN;
    if (left > 0) {
      const more = el('button', { type: 'button', class: 'button quiet tree-more', onclick: () => more.replaceWith(...this.#branch(nodes, parent, level, from + MOST_CHILDREN)) }, t('packets.more_fields', { count: left }));
      all.push(more);
    }
    return all;
  }

  /**
   * @param {Node_} node
   * @param {Node_ | null} parent
   * @param {number} level
   * @param {number} place
   * @param {number} size
   */
  #item(node, parent, level, place, size) {
    const hasChildren = (node.children?.length ?? 0) > 0;
    const value = node.value === null || node.value === undefined ? null : node.value.slice(0, MOST_VALUE);
    const line = el('div', { class: 'tree-line', style: { '--level': level - 1 } },
      el('span', { class: 'tree-turn' }, hasChildren && icon('right')),
      el('span', { class: 'tree-label' }, el('bdi', null, node.label || node.name), value !== null && ': '),
      value !== null && el('bdi', { class: 'tree-value' }, value));
    const group = hasChildren ? el('div', { role: 'group', hidden: true }) : null;
    const box = el('div', { class: level === 1 ? 'tree-item tree-layer' : 'tree-item', role: 'treeitem', tabindex: '-1', 'aria-level': level, 'aria-posinset': place, 'aria-setsize': size,
      'aria-expanded': hasChildren ? 'false' : null, 'aria-selected': 'false', title: node.name }, line, group);
    const item = { node, parent, box, group };
    this.#items.push(item);
    if (hasChildren && this.#isOpen(node)) this.#open(item, true);
    return box;
  }

  /** @param {{node: Node_, box: HTMLElement, group: HTMLElement | null}} item @param {boolean} isOpen */
  #open(item, isOpen) {
    if (!item.group) return;
    if (isOpen && item.group.childElementCount === 0) {
      const level = Number(item.box.getAttribute('aria-level'));
      item.group.append(...this.#branch(item.node.children, item.node, level + 1));
    }
    set(item.group, { hidden: !isOpen });
    set(item.box, { 'aria-expanded': String(isOpen) });
  }

  /** @param {Event} event */
  #itemOf(event) {
    const box = /** @type {HTMLElement} */ (event.target).closest('.tree-item');
    return this.#items.find((item) => item.box === box);
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const item = this.#itemOf(event);
    if (!item) return;
    const isTurn = /** @type {HTMLElement} */ (event.target).closest('.tree-turn');
    if (item.group && (isTurn || event.detail === 2)) {
      const isOpen = Boolean(item.group.hidden);
      chosen.set(item.node.name, isOpen);
      this.#open(item, isOpen);
    }
    this.choose(item.node, { focus: true });
  }

  /**
   * Chooses a field, and opens what it is in.
   * @param {Node_} node
   * @param {{quiet?: boolean, focus?: boolean, scroll?: boolean}} [options]
   */
  choose(node, { quiet = false, focus = false, scroll = true } = {}) {
    const path = [];
    for (let parent = this.#parents.get(node); parent; parent = this.#parents.get(parent)) path.unshift(parent);
    for (const parent of path) {
      const item = this.#items.find((one) => one.node === parent);
      if (item) this.#open(item, true);
    }
    const item = this.#items.find((one) => one.node === node);
    if (!item) return;
    const old = this.#items.find((one) => one.node === this.current);
    if (old) set(old.box, { 'aria-selected': 'false', tabindex: '-1' });
    this.current = node;
    set(item.box, { 'aria-selected': String(!quiet), tabindex: '0' });
    if (focus) item.box.focus({ preventScroll: true });
    if (scroll) item.box.firstElementChild?.scrollIntoView({ block: 'nearest' });
    if (!quiet) this.told.select(node);
  }

  focus() {
    const item = this.#items.find((one) => one.node === this.current) ?? this.#items[0];
    if (!item) return;
    this.choose(item.node);
    item.box.focus();
  }

  /** The innermost field that a byte is in. @param {number} offset */
  fieldAt(offset) {
    /** @type {Node_ | null} */
    let found = null;
    const look = (/** @type {Node_[]} */ nodes) => {
      for (const node of nodes) {
        const isIn = node.length > 0 && offset >= node.offset && offset < node.offset + node.length;
        if (isIn && (!found || node.length <= found.length)) found = node;
        look(node.children ?? []);
      }
    };
    // What is known of the frame as a whole has no place of its own.
    look(this.#nodes.filter(({ name }) => name !== 'frame'));
    return /** @type {Node_ | null} */ (found);
  }

  /** The first field of a name, with a value where one is given. @param {string[]} names @param {string | null} [value] */
  find(names, value = null) {
    return [...this.#parents.keys()].findLast((node) => names.includes(node.name) && (value === null || node.value === value)) ?? null;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.altKey || event.metaKey || event.ctrlKey) return;
    const seen = this.#items.filter(({ box }) => box.offsetParent !== null)
      .sort((a, b) => (a.box.compareDocumentPosition(b.box) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    const at = seen.findIndex(({ node }) => node === this.current);
    const item = seen[at];
    const to = (/** @type {number} */ place) => {
      const next = seen[Math.max(0, Math.min(place, seen.length - 1))];
      if (next) this.choose(next.node, { focus: true });
    };
    const isOpen = item?.group && !item.group.hidden;
    if (event.key === 'ArrowDown' || event.key === 'j') to(at + 1);
    else if (event.key === 'ArrowUp' || event.key === 'k') to(at - 1);
    else if (event.key === 'Home') to(0);
    else if (event.key === 'End') to(seen.length - 1);
    else if (event.key === 'PageDown') to(at + 15);
    else if (event.key === 'PageUp') to(at - 15);
    else if ((event.key === 'ArrowRight' || event.key === 'Enter' || event.key === ' ') && item?.group && !isOpen) {
      chosen.set(item.node.name, true);
      this.#open(item, true);
    } else if (event.key === 'ArrowRight' && isOpen) to(at + 1);
    else if ((event.key === 'ArrowLeft' || event.key === 'Enter' || event.key === ' ') && item && isOpen) {
      chosen.set(item.node.name, false);
      this.#open(item, false);
    } else if (event.key === 'ArrowLeft' && item?.parent) this.choose(item.parent, { focus: true });
    else if (item && (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey))) {
      const box = item.box.getBoundingClientRect();
      this.told.menu(item.node, box.left + 24, box.top + 22);
    } else return;
    event.preventDefault();
  }
}
