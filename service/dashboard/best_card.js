// The best configuration so far, ready to be taken along.
import { at, get } from "./api.js";
import { announce, element } from "./dom.js";
import { metric, number, sign, value, word } from "./words.js";

/** Copy text, and say so on the button. */
export function copyButton(label, text) {
  const button = element("button", {
    type: "button",
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(await text());
        button.textContent = "Copied";
        announce(`${label}: copied`);
      } catch {
        button.textContent = "Your browser does not allow copying";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    },
  }, label);
  return button;
}

/** Parameters as the sweep file writes them: every value fixed, those without effect left out. */
export function fragment(parameters) {
  const lines = Object.entries(parameters)
    .filter(([, given]) => given !== null)
    .map(([name, given]) => `  ${name}: ${Array.isArray(given) ? `[${given.join(", ")}]` : given}`);
  return `parameters:\n${lines.join("\n")}\n`;
}

/** A list of parameters; those that are searched first, and strong. */
export function parameterList(parameters, searched) {
  const names = Object.keys(parameters).filter((name) => parameters[name] !== null);
  const order = [...names.filter((name) => searched.includes(name)), ...names.filter((name) => !searched.includes(name))];
  return element("dl", { class: "parameters" }, order.map((name) =>
    element("div", { class: searched.includes(name) ? "searched" : null }, element("dt", {}, word(name)), element("dd", {}, value(parameters[name])))));
}

/** The best of the trials that break a bound of the sweep, and why it lost. */
function lost(best) {
  const found = best.best_infeasible;
  if (!found) return null;
  return element("p", { class: "notice small", style: "margin: 14px 0" },
    element("a", { href: at`#/trials/${found.trial.id}` }, `Trial ${found.trial.number}`),
    ` with ${metric(best.metric.name, found.trial.objective)} does not count${best.best && found.would_be_best ? ", though it would be the best" : ""}: ${found.reasons.join("; ")}.`);
}

/** A trial's configuration to take along: for a sweep file, as JSON, as a script of plain Keras. */
export function takeAlong(trial) {
  const script = at`/v1/trials/${trial.id}/script`;
  return [
    copyButton("Copy for a sweep file", () => fragment(trial.parameters)),
    copyButton("Copy as JSON", () => JSON.stringify(trial.parameters, null, 2)),
    copyButton("Copy as Keras script", () => get(script)),
    element("a", { class: "button", href: script, download: true }, "Download the script"),
  ];
}

/** The card. */
export function bestCard(best, searched) {
  const trial = best.best;
  if (!trial) {
    return element("section", { class: "card" }, element("h2", {}, "Best configuration"),
      element("p", { class: "lead" }, best.constraints?.length ? `The first trial that completes with ${best.constraints.join(" and ")} appears here.`
        : "The first trial that completes appears here."), lost(best));
  }
  const shown = Object.fromEntries(searched.filter((name) => name in trial.parameters).map((name) => [name, trial.parameters[name]]));
  return element("section", { class: "card", "aria-labelledby": "best" },
    element("div", { class: "row between" },
      element("h2", { id: "best" }, "Best configuration"),
      element("a", { href: at`#/trials/${trial.id}` }, `trial ${trial.number}`)),
    element("p", { class: "value", style: "margin: 14px 0 2px" }, metric(best.metric.name, trial.objective)),
    element("p", { class: "soft small" }, `${word(best.metric.name)} · test accuracy ${metric("accuracy", trial.test_accuracy)} · stability ${number(trial.stability, 2)} `,
      trial.verdict ? sign(trial.verdict) : null),
    best.note ? element("p", { class: "soft small" }, `Ranked by ${word(best.metric.name)} alone: the figure "Pareto front" shows what is traded.`) : null,
    lost(best),
    element("div", { style: "margin: 20px 0" }, parameterList(Object.keys(shown).length ? shown : trial.parameters, [])),
    element("div", { class: "row" },
      takeAlong(trial)));
}
