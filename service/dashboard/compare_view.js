// Several trials side by side: what sets them apart, their maps on one color scale, their curves as bands.
import { at, get, query } from "./api.js";
import { element, fill } from "./dom.js";
import { choice } from "./fields.js";
import { figure } from "./figure.js";
import { metric, number, sign, value, word } from "./words.js";

const MAX_TRIALS = 60;
const MAX_MAPS = 6;
const MAP_COLUMNS = 3;

/** Show the trials that the address names: `trial` once for each. */
export async function compareView(view, { search }, signal) {
  const ids = [...new Set(search.getAll("trial"))].slice(0, MAX_TRIALS);
  if (!ids.length) {
    fill(view, element("section", { class: "card nothing" }, element("h1", {}, "Nothing to compare"),
      element("p", { class: "soft" }, "Choose trials in the table of a sweep: there is a box beside each number."),
      element("a", { class: "button", href: "#/" }, "All sweeps")));
    return;
  }
  const trials = await Promise.all(ids.map((id) => get(at`/v1/trials/${id}`, signal)));
  const sweeps = new Map(await Promise.all([...new Set(trials.map((trial) => trial.sweep_id))].map(async (id) => [id, await get(at`/v1/sweeps/${id}`, signal)])));
  const apart = differing(trials);
  const plots = { gradient_flow: figure({ isLow: true }), update_ratio: figure({ isLow: true }), learning_curve: figure(), depth_profile: figure() };
  const by = choice("", [["", "all parameters"], ...apart.map((name) => [name, word(name)])], bands, { id: "by" });
  const areMapped = trials.length <= MAX_MAPS;

  const path = (kind, more = "") => `/v1/figures/${kind}?${new URLSearchParams(ids.map((id) => ["trial", id]))}${more}`;

  function bands() {
    const more = query({ by: by.value }).replace("?", "&");
    for (const kind of ["learning_curve", "depth_profile"]) plots[kind].show(path(kind, more), signal);
  }

  signal.addEventListener("abort", () => Object.values(plots).forEach((plot) => plot.end()));
  document.title = `${trials.length} trials · gradsweep`;
  fill(view,
    element("div", {},
      element("p", { class: "trail" }, element("a", { href: "#/" }, "Sweeps"),
        [...sweeps.values()].flatMap((sweep) => [" / ", element("a", { href: at`#/sweeps/${sweep.id}` }, sweep.name)])),
      element("h1", {}, trials.length === 1 ? "One trial" : `${trials.length} trials side by side`),
      search.getAll("trial").length > MAX_TRIALS ? element("p", { class: "lead" }, `The first ${MAX_TRIALS} of them.`) : null),
    element("section", { class: "card", "aria-labelledby": "apart" },
      element("h2", { id: "apart" }, "What sets them apart"), table(trials, sweeps, apart)),
    areMapped ? [
      element("section", { class: "card", "aria-labelledby": "flows" }, element("h2", { id: "flows" }, "Gradient flow"), maps(plots.gradient_flow, trials.length)),
      element("section", { class: "card", "aria-labelledby": "updates" }, element("h2", { id: "updates" }, "Size of the updates"), maps(plots.update_ratio, trials.length)),
    ] : element("p", { class: "notice" }, `Maps are drawn of ${MAX_MAPS} trials at most; choose fewer to see them.`),
    element("section", { class: "card", "aria-labelledby": "bands" },
      element("div", { class: "row between" }, element("h2", { id: "bands" }, "Curves"),
        element("span", { class: "row" }, element("label", { for: "by" }, "Trials are one group with equal"), by)),
      element("div", { class: "two spaced" }, plots.learning_curve.whole, plots.depth_profile.whole)));
  bands();
  if (areMapped) for (const kind of ["gradient_flow", "update_ratio"]) plots[kind].show(path(kind), signal);
}

/** Maps keep a width that can be read; where the page is narrower, they are moved sideways. */
function maps(plot, n) {
  plot.whole.style.minWidth = `${140 + 200 * Math.min(n, MAP_COLUMNS)}px`;
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Maps" }, plot.whole);
}

/** The parameters in which the trials differ. */
function differing(trials) {
  const [first] = trials;
  return Object.keys(first.parameters).filter((name) => trials.some((trial) => JSON.stringify(trial.parameters[name]) !== JSON.stringify(first.parameters[name])));
}

function table(trials, sweeps, apart) {
  const heads = ["Trial", "State", "Objective", "Gradients", "Stability", ...apart.map(word)];
  const row = (trial) => {
    const sweep = sweeps.get(trial.sweep_id);
    return element("tr", {},
      element("th", { scope: "row" }, element("a", { href: at`#/trials/${trial.id}` }, `#${trial.number}`), sweeps.size > 1 ? element("div", { class: "soft small" }, sweep.name) : null),
      element("td", {}, sign(trial.state)),
      element("td", { "data-label": word(sweep.metric.name) }, metric(sweep.metric.name, trial.objective)),
      element("td", {}, trial.verdict ? sign(trial.verdict) : ""),
      element("td", { "data-label": "stability" }, trial.stability === null ? "" : number(trial.stability, 2)),
      apart.map((name) => element("td", { "data-label": word(name) }, value(trial.parameters[name]))));
  };
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "apart" },
    element("table", { class: "cards trials" },
      element("thead", {}, element("tr", {}, heads.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, trials.map(row))));
}
