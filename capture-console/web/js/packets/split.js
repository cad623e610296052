// A bar between two panes, moved by pointer and by keys. Where it was is kept in the browser.

import { el, set } from '../dom.js';

/**
 * @param {string} name under which its place is kept
 * @param {'horizontal' | 'vertical'} orientation of the bar itself
 * @param {string} label
 * @param {number} first share of the first pane, 0 to 1
 * @param {(share: number) => void} apply
 * @returns {HTMLElement}
 */
export function splitter(name, orientation, label, first, apply) {
  const stored = Number(localStorage.getItem(`split.${name}`));
  let share = stored > 0 && stored < 1 ? stored : first;
  const bar = el('div', { class: `split split-${orientation}`, role: 'separator', tabindex: '0', 'aria-orientation': orientation, 'aria-label': label, 'aria-valuemin': 10, 'aria-valuemax': 90 });
  const move = (/** @type {number} */ to) => {
    share = Math.max(0.1, Math.min(0.9, to));
    localStorage.setItem(`split.${name}`, share.toFixed(3));
    show();
  };
  const show = () => {
    set(bar, { 'aria-valuenow': Math.round(share * 100) });
    apply(share);
  };
  bar.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const [less, more] = orientation === 'horizontal' ? ['ArrowUp', 'ArrowDown'] : ['ArrowLeft', 'ArrowRight'];
    const step = event.shiftKey ? 0.1 : 0.02;
    if (event.key === less) move(share - step);
    else if (event.key === more) move(share + step);
    else if (event.key === 'Home') move(0.1);
    else if (event.key === 'End') move(0.9);
    else return;
    event.preventDefault();
  });
  bar.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    bar.setPointerCapture(event.pointerId);
    bar.focus();
  });
  bar.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
    if (!bar.hasPointerCapture(event.pointerId)) return;
    const box = /** @type {HTMLElement} */ (bar.parentElement).getBoundingClientRect();
    move(orientation === 'horizontal' ? (event.clientY - box.top) / box.height : (event.clientX - box.left) / box.width);
  });
  bar.addEventListener('dblclick', () => move(first));
  show();
  return bar;
}
