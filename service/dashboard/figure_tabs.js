// The figures of a sweep, one tab each; the shown one is drawn again as trials end.
import { at, query } from "./api.js";
import { element, fill } from "./dom.js";
import { figure } from "./figure.js";

const KINDS = [
  ["history", "History"], ["slice", "Parameters"], ["parallel_coordinate", "Parallel coordinates"],
  ["learning_curves", "Learning curves"], ["verdicts", "Verdicts"], ["stability_map", "Stability map"],
  ["importances", "What decides"], ["pareto", "Pareto front"], ["contour", "Contour"], ["rank", "Ranks"], ["edf", "Distribution"],
  ["timeline", "Timeline"],
];

const WITH_AXES = new Set(["stability_map", "contour", "rank"]);
const WITHOUT_POINTS = new Set(["verdicts", "importances", "edf"]);

/** The card of figures. `update()` draws the shown one again. */
export function figureTabs(sweep, signal) {
  let kind = "history";
  let axes = { x: "", y: "" };
  let plot = null;
  const names = [...searched(sweep), "depth"];
  const panel = element("div", { role: "tabpanel", id: "figure", "aria-labelledby": "tab-history", tabindex: 0 });
  const tabs = KINDS.map(([name, words]) => element("button", {
    role: "tab", id: `tab-${name}`, "aria-controls": "figure", type: "button", onclick: () => choose(name), onkeydown: step,
  }, words));
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
    const next = (KINDS.findIndex(([name]) => name === kind) + by + KINDS.length) % KINDS.length;
    choose(KINDS[next][0]);
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
