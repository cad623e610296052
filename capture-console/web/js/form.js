// Fields of a form: label, control, help, and the faults that the service says, each at its field.

import { el, replace, set } from './dom.js';
import { fieldOf } from './spec.js';
import { t } from './words.js';

/** @typedef {import('./spec.js').Values} Values */

/**
 * @typedef {object} Field
 * @property {HTMLElement} box
 * @property {HTMLElement} control
 * @property {HTMLElement} fault
 * @property {() => void} show shows the value as it is now
 */

/**
 * The fields of a form. Labels are the words `PREFIX.NAME`.
 * @param {string} prefix
 * @param {Values} values what the fields are; read, and changed by `change` only
 * @param {(changed: Values, isTyped?: boolean) => void} change
 */
export function makeForm(prefix, values, change) {
  /** @type {Map<string, Field>} */
  const fields = new Map();

  /**
   * A field around a control of any kind.
   * @param {string} name
   * @param {HTMLElement} control
   * @param {{show: () => void, help?: any, isGroup?: boolean}} options `isGroup`: the control bears its label itself
   * @returns {HTMLElement}
   */
  const field = (name, control, { show, help, isGroup }) => {
    const fault = el('div', { id: `fault-${name}`, class: 'faults', 'aria-live': 'polite' });
    const helpBox = help && el('div', { id: `help-${name}`, class: 'help' }, help);
    set(control, { 'aria-describedby': help ? `fault-${name} help-${name}` : `fault-${name}` });
    const box = el('div', { class: `field field-${name}` },
      !isGroup && el('label', { for: `field-${name}` }, t(`${prefix}.${name}`)), control, helpBox, fault);
    fields.set(name, { box, control, fault, show });
    return box;
  };

  /**
   * A field for a line of text.
   * @param {string} name
   * @param {{help?: any, placeholder?: string, mono?: boolean, known?: string[], inputmode?: string, presets?: [string, string][]}} [options]
   *   `known`: what is offered while one types; `presets`: values and labels of buttons below
   */
  const text = (name, { help, placeholder, mono, known, inputmode, presets } = {}) => {
    const input = el('input', { id: `field-${name}`, name, type: 'text', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', inputmode,
      class: mono ? 'mono' : null, placeholder, list: known ? `known-${name}` : null, value: values[name] ?? '',
      oninput: () => change({ [name]: input.value }, true) });
    const box = field(name, input, { show: () => set(input, { value: values[name] ?? '' }), help });
    if (presets) input.after(el('div', { class: 'presets' }, presets.map(([value, label]) => el('button', { type: 'button', class: 'preset', onclick: () => change({ [name]: value }) }, label))));
    if (known) box.append(el('datalist', { id: `known-${name}` }, known.map((value) => el('option', { value }))));
    return box;
  };

  /**
   * A field for one of few, the first where nothing is chosen. Their labels are the words `PREFIX.NAME.CHOICE`.
   * @param {string} name
   * @param {string[]} choices
   * @param {any} [help]
   */
  const choice = (name, choices, help) => {
    const isChosen = (/** @type {string} */ value) => (values[name] || choices[0]) === value;
    const inputs = choices.map((value) => el('input', { type: 'radio', name, value, checked: isChosen(value), onchange: () => change({ [name]: value }, true) }));
    const group = el('fieldset', { class: 'segments', role: 'radiogroup' }, el('legend', null, t(`${prefix}.${name}`)),
      el('div', { class: 'segment-row' }, inputs.map((input) => el('label', { class: 'segment' }, input, el('span', null, t(`${prefix}.${name}.${input.value}`))))));
    return field(name, group, { show: () => inputs.forEach((input) => set(input, { checked: isChosen(input.value) })), help, isGroup: true });
  };

  /**
   * Puts each fault at its field. Gives those of no field, and how many wait for a field that is not to show any yet.
   * @param {any[]} faults
   * @param {(name: string) => boolean} isShown whether a field shows its faults
   * @param {(fault: any) => Node} line
   */
  const showFaults = (faults, isShown, line) => {
    const others = faults.filter(({ pointer }) => !fields.has(fieldOf(pointer)));
    let waiting = 0;
    for (const [name, { box, control, fault: place }] of fields) {
      const mine = faults.filter(({ pointer }) => fieldOf(pointer) === name);
      const shown = isShown(name) ? mine : [];
      waiting += mine.length - shown.length;
      set(box, { 'data-invalid': shown.length > 0 });
      if (control.matches('input, [role=radiogroup]')) set(control, { 'aria-invalid': shown.length > 0 ? 'true' : null });
      // Not anew where it is the same: a screen reader would say it again.
      const text = JSON.stringify(shown);
      if (place.dataset.faults === text) continue;
      place.dataset.faults = text;
      replace(place, shown.map(line));
    }
    return { others, waiting, count: faults.length };
  };

  /** Goes to the first field with a fault. */
  const goToFault = () => {
    const wrong = [...fields.values()].find(({ box }) => box.hasAttribute('data-invalid'));
    if (!wrong) return;
    const hidden = wrong.box.closest('details');
    if (hidden) hidden.open = true;
    /** @type {HTMLElement | null} */ (wrong.box.querySelector('input'))?.focus();
  };

  return { fields, field, text, choice, showFaults, goToFault };
}
