// Fields of a form: each with a label, a hint, and a place for what the service has against it.
import { element, fill } from "./dom.js";

let made = 0;

/** An address for an element that another one refers to. */
export const address = (name) => `${name}-${++made}`;

/**
 * Everything that may be wrong in a form, by JSON pointers into the sweep file.
 * `add(pointer, controls, place)` registers a field; `complain(errors)` shows each error at the field that its pointer
 * leads to or into, and returns those that no field is for.
 */
export function complaints() {
  let fields = [];

  function add(pointer, controls, place) {
    fields.push({ pointer, controls, place });
    for (const control of controls) control.setAttribute("aria-describedby", place.id);
  }

  function complain(errors) {
    fields = fields.filter(({ place }) => place.isConnected);
    for (const { controls, place } of fields) {
      controls.forEach((control) => control.removeAttribute("aria-invalid"));
      fill(place);
    }
    return errors.filter(({ pointer, message }) => {
      const within = fields.filter((one) => pointer === one.pointer || pointer.startsWith(`${one.pointer}/`));
      const [field] = within.sort((a, b) => b.pointer.length - a.pointer.length);
      if (!field) return true;
      for (const control of field.controls) control.setAttribute("aria-invalid", "true");
      field.place.append(element("span", {}, message));
      return false;
    });
  }

  return { add, complain };
}

/** A place for complaints. */
export const slot = () => element("p", { class: "error", id: address("error") });

/** A field: label, control and a place for complaints. */
export function field(label, control, place) {
  control.id ||= address("field");
  return element("div", { class: "field" }, element("label", { for: control.id }, label), control, place);
}

/** A line of text or a number. `onType` gets what is in it, as it is typed. */
export function line(written, onType, { isNumber = false, ...attributes } = {}) {
  const made = element("input", { type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", inputmode: isNumber ? "decimal" : null, value: written, ...attributes });
  made.addEventListener("input", () => onType(made.value));
  return made;
}

/** A choice of one. `options` are values, or values with words; one that is not offered is shown all the same. */
export function choice(value, options, onChoose, attributes = {}) {
  const pairs = options.map((one) => (Array.isArray(one) ? one : [one, one]));
  if (!pairs.some(([one]) => one === value)) pairs.push([value, `${value} ?`]);
  const made = element("select", attributes, pairs.map(([one, words]) => element("option", { value: one }, words)));
  made.value = value;
  made.addEventListener("change", () => onChoose(made.value));
  return made;
}

/** A choice of several. */
export function boxes(legend, chosen, options, onChoose) {
  const inputs = options.map((one) => {
    const input = element("input", { type: "checkbox", value: one, id: address("box"), onchange: () => onChoose(inputs.filter((each) => each.checked).map((each) => each.value)) });
    input.checked = chosen.includes(one);
    return input;
  });
  const whole = element("fieldset", { class: "boxes" }, element("legend", { class: "unseen" }, legend),
    inputs.map((input) => element("span", {}, input, element("label", { for: input.id }, input.value))));
  return { whole, inputs };
}
