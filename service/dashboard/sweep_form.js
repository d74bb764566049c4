// The form for a new sweep: a view of the file's text, which it changes value by value. It keeps nothing of its own.
import { element, fill } from "./dom.js";
import { Unfollowed, read } from "./file_reader.js";
import { Typed, erase, write } from "./file_editor.js";
import { choice, complaints, field, line, slot } from "./fields.js";
import { spaceForm } from "./space_form.js";
import { word } from "./words.js";

const EARLY = {
  none: ["every trial trains to its end", []], hyperband: ["", [["min_iter", "First look, epoch", "1"], ["eta", "Keep one of", "3"]]],
  median: ["", [["min_iter", "First look, epoch", "1"], ["min_trials", "Trials to compare", "5"]]],
};
const MAX_BOUNDS = 6;

/**
 * The form. `offered` is what the service offers (form_choices.json), `file` how to `look` at the text and to `put` it.
 * `refresh()` draws it from the text, `complain(errors)` shows errors at their fields.
 */
export function sweepForm(offered, file) {
  const said = complaints();
  const place = element("div", { class: "form" });
  const lost = element("p", { class: "notice", role: "status", hidden: true });
  const fields = element("fieldset", { class: "plain-set" }, place);
  const whole = element("section", { "aria-label": "Form" }, lost, fields);
  const space = spaceForm(offered.parameters, { write: change, erase: drop, complaints: said });
  space.follow(() => at("parameters"));

  function tree() {
    try {
      return read(file.look());
    } catch (error) {
      if (error instanceof Unfollowed) return null;
      throw error;
    }
  }

  function at(...path) {
    return path.reduce((node, key) => (node?.kind === "map" ? node.entries.find((one) => one.key === key)?.node ?? null : null), tree());
  }

  function change(path, value) {
    file.put(write(file.look(), path, value));
  }

  function drop(path) {
    file.put(erase(file.look(), path));
  }

  /** What is typed goes to a path; an empty field leaves its key out. */
  const into = (...path) => (words) => (words.trim() === "" ? drop(path) : change(path, new Typed(words)));
  const written = (...path) => at(...path)?.written ?? "";
  const pointed = (path, label, control) => {
    const own = slot();
    control.dataset.at = path.join("/");
    said.add(`/${path.join("/")}`, [control], own);
    return field(label, control, own);
  };
  const text = (label, path, attributes = {}) => pointed(path, label, line(written(...path), into(...path), attributes));
  const pick = (label, path, options, fallback, then = () => {}) => pointed(path, label,
    choice(written(...path) || fallback, options, (one) => { one === "null" ? drop(path) : change(path, one); then(); }));

  function refresh() {
    let wrong = null;
    try {
      const found = read(file.look());
      if (found !== null && found.kind !== "map") wrong = "a sweep file is a mapping of keys";
    } catch (error) {
      if (!(error instanceof Unfollowed)) throw error;
      wrong = error.message;
    }
    lost.hidden = wrong === null;
    fields.disabled = wrong !== null;
    fill(lost, wrong === null ? "" : `The form cannot follow the file: ${wrong}. It goes on when that is mended in the text.`);
    if (wrong === null) draw();
  }

  function draw() {
    const held = place.contains(document.activeElement) ? document.activeElement.dataset.at : null;
    space.show(at("parameters"));
    fill(place, part("The sweep", basics()), part("What to search", [space.whole]), part("How it ends", ends()), part("What counts", bounds()));
    if (held) place.querySelector(`[data-at="${held}"]`)?.focus();
  }

  function part(title, children) {
    const id = `part-${title.replaceAll(" ", "-").toLowerCase()}`;
    return element("section", { class: "card", "aria-labelledby": id }, element("h2", { id }, title), children);
  }

  function basics() {
    const list = element("datalist", { id: "datasets" }, offered.datasets.map((name) => element("option", { value: name })));
    const method = written("method") === "bayes" ? "tpe" : written("method") || "tpe";
    return [
      element("div", { class: "grid-3" },
        text("Name", ["name"], { placeholder: `${method}-${written("dataset") || "mnist"}` }),
        text("Data set", ["dataset"], { placeholder: "mnist", list: "datasets" }),
        pick("Method", ["method"], offered.methods.map(({ name }) => name), method, draw)),
      method === "ablation"
        ? element("div", { class: "grid-3" }, text("Seeds", ["seeds"], { isNumber: true, placeholder: "5" }), seedField(),
          element("p", { class: "hint" }, "Each remedy changes one thing of the fixed parameters below. Remedies of your own are written in the file."))
        : element("div", { class: "grid-3" }, element("p", { class: "hint span-3" }, `${method}: ${offered.methods.find(({ name }) => name === method)?.meaning ?? "not known"}.`), text("Trials at most", ["run_cap"], { isNumber: true, placeholder: method === "grid" ? "all" : "such as 100" }),
          text("At once", ["max_parallel"], { isNumber: true, placeholder: "chosen for you" }), seedField()),
      list];
  }

  const seedField = () => text("Seed", ["seed"], { isNumber: true, placeholder: "drawn" });

  function ends() {
    const type = written("early_terminate", "type") || "none";
    const kind = EARLY[type] ?? ["", []];
    return [
      element("div", { class: "grid-3" },
        pointed(["early_terminate", "type"], "Early termination",
          choice(type, Object.keys(EARLY), (one) => { one === "none" ? drop(["early_terminate"]) : change(["early_terminate"], { type: one }); draw(); })),
        kind[0] ? element("p", { class: "hint span-2" }, kind[0]) : null,
        kind[1].map(([key, label, fallback]) => text(label, ["early_terminate", key], { isNumber: true, placeholder: fallback }))),
      element("div", { class: "grid-3" },
        text("Minutes at most", ["time_budget_minutes"], { isNumber: true, placeholder: "no limit" }),
        text("Share that may fail", ["failure_limit"], { isNumber: true, placeholder: "0.5" }),
        pick("Defaults", ["preset"], [["null", "neutral"], ...offered.presets.map((name) => [name, `of the ${name}`])], "null")),
    ];
  }

  function bounds() {
    const ofEpoch = offered.metrics.filter((one) => one.is_of_epoch);
    const several = at("metrics");
    const chosen = written("metric", "name") || "val_accuracy";
    const given = at("constraints");
    const rows = (given?.kind === "map" ? given.entries : []).map(({ key, node }) => bound(key, node));
    const left = offered.metrics.filter(({ name }) => !rows.length || !given.entries.some(({ key }) => key === name));
    return [
      several
        ? element("p", { class: "hint" }, "The file trades several metrics against one another: see there.")
        : element("div", { class: "grid-3" },
          pick("Rank by", ["metric", "name"], ofEpoch.map(({ name, direction }) => [name, `${word(name)} (${direction === "minimize" ? "low" : "high"})`]), chosen),
          pick("Which epoch", ["metric", "at"], [["last", "the last"], ["best", "the best so far"]], "last"),
          text("Stop at", ["metric", "target"], { isNumber: true, placeholder: "no target" })),
      element("div", { class: "constraints", role: "group", "aria-label": "Constraints" },
        element("div", { class: "row between" }, element("h3", {}, "Constraints"),
          element("button", { type: "button", class: "quiet", disabled: rows.length >= MAX_BOUNDS || !left.length, onclick: () => more(left) }, "Add a constraint")),
        rows.length ? rows : element("p", { class: "hint" }, "None: every trial that completes may be the best.")),
    ];
  }

  function more(left) {
    const { name } = left.find((one) => one.name === "stability") ?? left[0];
    change(["constraints", name], name === "stability" || name.includes("accuracy") ? ">= 0.5" : "<= 1");
    draw();
    place.querySelector(".constraint:last-child select").focus();
  }

  /** One bound: a metric, an operator, a number. Two bounds on one metric are written in the file. */
  function bound(name, node) {
    const own = slot();
    const found = node.kind === "scalar" ? /^\s*(>=|<=)\s*(.*?)\s*$/.exec(String(node.value)) : null;
    const path = ["constraints", name];
    const remove = element("button", { type: "button", class: "quiet", "aria-label": `Remove the constraint on ${word(name)}`, onclick: () => { drop(path); draw(); place.querySelector(".constraints button").focus(); } }, "Remove");
    if (!found && node.kind !== "scalar") {
      said.add(`/${path.join("/")}`, [remove], own);
      return element("div", { class: "constraint" }, element("span", {}, word(name)), element("code", { class: "soft small" }, "as written in the file"), remove, own);
    }
    const put = () => change(path, `${operator.value} ${limit.value.trim()}`);
    const metric = choice(name, offered.metrics.map((one) => [one.name, word(one.name)]), (one) => { drop(path); change(["constraints", one], `${operator.value} ${limit.value.trim()}`); draw(); }, { "aria-label": "Metric" });
    const operator = choice(found?.[1] ?? ">=", [[">=", "at least"], ["<=", "at most"]], put, { "aria-label": `${word(name)}: bound` });
    const limit = line(found?.[2] ?? String(node.value ?? ""), put, { isNumber: true, "aria-label": `${word(name)}: limit` });
    said.add(`/${path.join("/")}`, [limit], own);
    return element("div", { class: "constraint" }, metric, operator, limit, remove, own);
  }

  return { whole, refresh, complain: said.complain };
}
