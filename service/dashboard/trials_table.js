// The trials of a sweep: filtered, ordered and paged by the service, so that ten thousand are as quick as ten.
import { at, get, query } from "./api.js";
import { element, renew } from "./dom.js";
import { filterBar, pager } from "./paging.js";
import { TRIAL_STATES, VERDICTS, count, duration, metric, number, sign, value, word } from "./words.js";

const PAGE = matchMedia("(max-width: 760px)").matches ? 10 : 20;
const MAX_PARAMETERS = 6;

/** The card. `update()` asks for the shown page again; `choose(verdict)` filters by a verdict. */
export function trialsTable(sweep, parameters, signal) {
  const shown = parameters.slice(0, MAX_PARAMETERS);
  const order = { name: "number", isDescending: false };
  const bar = filterBar({ placeholder: "params.learning_rate < 0.01 AND epoch > 3", only: { state: TRIAL_STATES, verdict: VERDICTS }, onChange: restart });
  const pages = pager(() => update());
  const wrong = element("p", { class: "notice wrong", role: "alert", hidden: true });
  const head = element("tr");
  const body = element("tbody");
  const chosen = new Set();
  const compare = element("a", { class: "button", hidden: true });
  const columns = [
    ["number", "Trial"], ["state", "State"], ["objective", word(sweep.metric.name)], ["verdict", "Gradients"], ["stability", "Stability"],
    ["epoch", "Epochs"], ...shown.map((name) => [`params.${name}`, word(name)]), ["device_seconds", "Time"],
  ];

  function restart() {
    pages.restart();
    return update();
  }

  function heads() {
    renew(head, columns.map(([name, label]) => {
      const isChosen = order.name === name;
      const mark = isChosen ? (order.isDescending ? " ↓" : " ↑") : "";
      return element("th", { scope: "col", "aria-sort": isChosen ? (order.isDescending ? "descending" : "ascending") : null },
        element("button", { type: "button", "data-key": name, onclick: () => sort(name) }, label, element("span", { "aria-hidden": "true" }, mark)));
    }));
  }

  function sort(name) {
    order.isDescending = order.name === name ? !order.isDescending : name === "objective" && sweep.metric.direction === "maximize";
    order.name = name;
    heads();
    restart();
  }

  async function update() {
    const asked = { filter: bar.words(), order_by: (order.isDescending ? "-" : "") + order.name, page_size: PAGE, page_token: pages.token() };
    try {
      const found = await get(at`/v1/sweeps/${sweep.id}/trials` + query(asked), signal);
      wrong.hidden = true;
      renew(body, found.trials.length ? found.trials.map(row) : element("tr", {}, element("td", { colspan: columns.length, class: "soft" },
        asked.filter ? "No trial is like that; loosen the filter." : "The first trial is on its way.")));
      pages.took(found.next_page_token);
    } catch (error) {
      if (error.name === "AbortError") return;
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  }

  /** A box that chooses a trial for comparison; what is chosen stays so from page to page. */
  function box(trial) {
    const made = element("input", { type: "checkbox", class: "pick", "aria-label": `Compare trial ${trial.number}` });
    made.checked = chosen.has(trial.id);
    made.addEventListener("change", () => { made.checked ? chosen.add(trial.id) : chosen.delete(trial.id); offer(); });
    return made;
  }

  function offer() {
    compare.hidden = chosen.size < 2;
    compare.textContent = `Compare ${count(chosen.size, "trial")}`;
    compare.href = `#/compare?${new URLSearchParams([...chosen].map((id) => ["trial", id]))}`;
  }

  function row(trial) {
    const fate = trial.prune_reason ?? trial.failure?.kind;
    return element("tr", {},
      element("th", { scope: "row" }, element("span", { class: "picked" }, box(trial), element("a", { href: at`#/trials/${trial.id}` }, `#${trial.number}`))),
      element("td", {}, sign(trial.state), fate ? element("div", { class: "soft small" }, word(fate)) : null),
      element("td", { "data-label": word(sweep.metric.name) }, metric(sweep.metric.name, trial.objective)),
      element("td", {}, trial.verdict ? sign(trial.verdict) : ""),
      element("td", { "data-label": "stability" }, trial.stability === null ? "" : number(trial.stability, 2)),
      element("td", { "data-label": "epochs" }, trial.epoch === null ? "" : `${trial.epoch} of ${trial.parameters.epochs}`),
      shown.map((name) => element("td", { "data-label": word(name) }, value(trial.parameters[name]))),
      element("td", { "data-label": "time" }, trial.device_seconds === null ? "" : duration(trial.device_seconds)));
  }

  heads();
  const whole = element("section", { class: "card", "aria-labelledby": "trials" },
    element("h2", { id: "trials" }, "Trials"),
    bar.whole,
    wrong,
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "trials" },
      element("table", { class: "cards trials" }, element("thead", {}, head), body)),
    element("div", { class: "row between", style: "margin-top: 14px" }, element("div", { class: "row" }, pages.buttons, compare), downloads(sweep)));
  update();
  return { whole, update, choose: (name) => { bar.only.verdict.value = name; restart(); whole.scrollIntoView({ block: "start" }); } };
}

/** Whole tables as files. */
function downloads(sweep) {
  const path = at`/v1/sweeps/${sweep.id}/export`;
  const link = (table, format) => element("a", { href: path + query({ table, format }), download: true, "aria-label": `Download ${table} as ${format}` }, format);
  return element("p", { class: "row small soft" }, "Download:", ["trials", "epochs", "layers"].map((table) =>
    element("span", {}, `${table} `, link(table, "csv"), " ", link(table, "jsonl"))));
}
