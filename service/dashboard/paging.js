// What every long table has: a filter in the service's words, and pages that the service cuts.
import { element } from "./dom.js";
import { word } from "./words.js";

/**
 * A line for a filter, and a choice for each of `only` (name: values). `onChange` is called when one was changed.
 * `words()` is the whole filter; `only[name]` are the choices.
 */
export function filterBar({ placeholder, only, onChange }) {
  const text = element("input", { id: "filter", placeholder, spellcheck: "false", autocapitalize: "off", onchange: onChange });
  const choices = Object.fromEntries(Object.entries(only).map(([name, values]) => [name, element("select", { id: `only-${name}`, onchange: onChange },
    element("option", { value: "" }, "any"), values.map((one) => element("option", { value: one }, word(one))))]));
  const whole = element("div", { class: "filters" },
    element("div", { class: "field" }, element("label", { for: "filter" }, "Filter"), text),
    Object.entries(choices).map(([name, made]) => element("div", { class: "field" }, element("label", { for: made.id }, word(name)), made)));

  function words() {
    const parts = Object.entries(choices).filter(([, made]) => made.value).map(([name, made]) => `${name} = ${made.value}`);
    if (text.value.trim()) parts.unshift(`(${text.value.trim()})`);
    return parts.join(" AND ");
  }

  return { whole, words, only: choices };
}

/** Earlier and later pages. `token()` is the shown one's; `took(next)` tells of the page after it; `restart()` goes to the first. */
export function pager(onTurn) {
  let tokens = [""];
  let next = "";
  const earlier = element("button", { type: "button", disabled: true, onclick: () => { tokens.pop(); onTurn(); } }, "Earlier");
  const later = element("button", { type: "button", disabled: true, onclick: () => { tokens.push(next); later.disabled = true; onTurn(); } }, "Later");
  return {
    buttons: [earlier, later],
    token: () => tokens.at(-1),
    isFirst: () => tokens.length === 1,
    restart: () => { tokens = [""]; },
    took: (token) => {
      next = token ?? "";
      later.disabled = !token;
      earlier.disabled = tokens.length === 1;
    },
  };
}
