// The figures of a sweep, one tab each, by group; the shown one is drawn again as trials end.
import { at, get, query } from "./api.js";
import { element, fill } from "./dom.js";
import { figure } from "./figure.js";
import { word } from "./words.js";

const WORDS = {
  history: "History", slice: "Parameters", parallel_coordinate: "Parallel coordinates", contour: "Contour", rank: "Ranks", edf: "Distribution",
  learning_curves: "Learning curves", verdicts: "Verdicts", stability_map: "Stability map", importances: "What decides", effects: "Five remedies",
  pareto: "Pareto front", timeline: "Timeline", steps: "Steps",
};
const GROUPS = [
  ["Progress", ["history", "learning_curves", "timeline", "edf"]],
  ["Parameters", ["slice", "parallel_coordinate", "contour", "rank", "importances", "pareto"]],
  ["Gradients", ["verdicts", "stability_map", "effects"]],
];
const WITH_AXES = new Set(["stability_map", "contour", "rank"]);
const WITHOUT_POINTS = new Set(["verdicts", "importances", "edf", "effects"]);

/** The kinds that the service draws, by group; those that this page has no place for come last. */
async function grouped(signal) {
  const kinds = (await get("/v1/figures", signal)).of_sweeps;
  const placed = new Set(GROUPS.flatMap(([, names]) => names));
  const groups = [...GROUPS, ["More", kinds.filter((kind) => !placed.has(kind))]];
  return groups.map(([name, names]) => [name, names.filter((kind) => kinds.includes(kind))]).filter(([, names]) => names.length);
}

/** The card of figures. `update()` draws the shown one again. */
export async function figureTabs(sweep, signal) {
  const groups = await grouped(signal);
  const kinds = groups.flatMap(([, names]) => names);
  let kind = "history";
  let axes = { x: "", y: "" };
  let plot = null;
  const names = [...searched(sweep), "depth"];
  const panel = element("div", { role: "tabpanel", id: "figure", "aria-labelledby": "tab-history", tabindex: 0 });
  const firsts = new Set(groups.slice(1).map(([, names]) => names[0]));
  const tabs = kinds.map((name) => element("button", {
    role: "tab", id: `tab-${name}`, "aria-controls": "figure", type: "button", onclick: () => choose(name), onkeydown: step,
    class: firsts.has(name) ? "begins" : null,
  }, WORDS[name] ?? word(name)));
  const choices = element("div", { class: "row", hidden: true, style: "margin-bottom: 12px" }, choice("x", "Across"), choice("y", "Up"));
  const link = element("a", { class: "small", download: true }, "Plotly JSON");

  function choice(axis, words) {
    const id = `axis-${axis}`;
    const select = element("select", { id, onchange: () => { axes = { ...axes, [axis]: select.value }; update(); } },
      element("option", { value: "" }, "chosen for you"), names.map((name) => element("option", { value: name }, name)));
    return element("span", { class: "row" }, element("label", { for: id }, words), select);
  }

  function step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = (kinds.indexOf(kind) + by + kinds.length) % kinds.length;
    choose(kinds[next]);
    tabs[next].focus();
  }

  function choose(name) {
    kind = name;
    plot?.end();
    plot = figure({ onTrial: (id) => { location.hash = at`#/trials/${id}`; } });
    for (const tab of tabs) {
      const isShown = tab.id === `tab-${kind}`;
      tab.setAttribute("aria-selected", isShown);
      tab.tabIndex = isShown ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${kind}`);
    choices.hidden = !WITH_AXES.has(kind);
    fill(panel, choices, plot.whole, element("p", { class: "row between small soft" },
      element("span", {}, WITHOUT_POINTS.has(kind) ? "" : "Choose a point to see its trial."), link));
    update();
  }

  function update() {
    const path = at`/v1/sweeps/${sweep.id}/figures/${kind}` + (WITH_AXES.has(kind) ? query(axes) : "");
    link.href = path;
    return plot.show(path, signal);
  }

  signal.addEventListener("abort", () => plot?.end());
  const whole = element("section", { class: "card", "aria-label": "Figures" },
    element("div", { role: "tablist", "aria-label": "Figures" }, tabs), panel);
  choose(kind);
  return { whole, update };
}

/** The parameters that the sweep searches, from its file. */
export function searched(sweep) {
  const given = sweep.resolved.parameters ?? {};
  return Object.keys(given).filter((name) => {
    const one = given[name];
    return one !== null && typeof one === "object" && !Array.isArray(one) && !("value" in one);
  });
}
