// The search space as rows: each parameter left out, fixed, chosen among values, or searched over a range.
import { element, fill } from "./dom.js";
import { boxes, choice, line, slot } from "./fields.js";
import { Typed } from "./file_editor.js";
import { plain } from "./file_reader.js";
import { value as shown, word } from "./words.js";

const USUAL = ["learning_rate", "optimizer", "normalization", "dropout", "residual", "activation", "initializer", "schedule", "hidden_units", "batch_size", "epochs"];
const STARTS = {
  learning_rate: ["1e-4", "1e-1", "log"], warmup_epochs: ["0", "3", "linear"], momentum: ["0", "0.95", "linear"], dropout: ["0.0", "0.5", "linear"],
  input_dropout: ["0.0", "0.3", "linear"], depth: ["2", "10", "linear"], width: ["32", "256", "log"], batch_size: ["32", "256", "log"], epochs: ["5", "20", "linear"],
  weight_decay: ["1e-6", "1e-2", "log"], clip_norm: ["0.1", "10", "log"], label_smoothing: ["0.0", "0.2", "linear"],
};
const SCALES = {
  uniform: "linear", int_uniform: "linear", q_uniform: "linear", log_uniform_values: "log", q_log_uniform_values: "log",
};
const MODES = { left: "left out", fixed: "fixed", choices: "choices", range: "range", written: "as written" };

/**
 * The rows. `write(path, value)` and `erase(path)` change the file; `complaints` takes every field.
 * `show(parameters)` draws the rows from the file's section, a node of the tree or null.
 */
export function spaceForm(specs, { write, erase, complaints }) {
  const usual = element("div", { class: "space" });
  const others = element("div", { class: "space" });
  const more = element("details", {}, element("summary", { class: "small" }, "More parameters"), others);
  const section = slot();
  complaints.add("/parameters", [], section);

  function show(parameters) {
    const entries = new Map((parameters?.kind === "map" ? parameters.entries : []).map(({ key, node }) => [key, node]));
    const rows = (isUsual) => specs.filter(({ name }) => USUAL.includes(name) === isUsual)
      .sort((a, b) => isUsual ? USUAL.indexOf(a.name) - USUAL.indexOf(b.name) : 0)
      .map((spec) => row(spec, entries.get(spec.name) ?? null));
    fill(usual, rows(true));
    fill(others, rows(false));
    const known = new Set(specs.map(({ name }) => name));
    if (specs.some(({ name }) => !USUAL.includes(name) && entries.has(name))) more.open = true;
    const strange = [...entries.keys()].filter((name) => !known.has(name));
    fill(note, strange.length ? `The file also has ${strange.join(", ")}: see there.` : "");
  }

  function row(spec, node) {
    const whole = element("div", { class: "parameter", role: "group", "aria-label": word(spec.name) });
    draw(spec, whole, node);
    return whole;
  }

  /** Draw one row; again when its mode changes. */
  function draw(spec, whole, node) {
    const mode = modeOf(spec, node);
    const place = slot();
    const modes = ["left", "fixed", ...(mode === "written" ? ["written"] : []), "choices", ...(spec.range ? ["range"] : [])];
    const chooser = choice(mode, modes.map((one) => [one, MODES[one]]), (chosen) => turn(spec, whole, chosen), { "aria-label": `${word(spec.name)}: how` });
    fill(whole, element("span", { class: "named", title: spec.range ? `${spec.meaning}, ${spec.range}` : spec.meaning }, word(spec.name)),
      chooser, element("div", { class: "given" }, given(spec, mode, node, place)), place);
    complaints.add(`/parameters/${spec.name}`, [chooser], place);
  }

  function turn(spec, whole, mode) {
    const made = start(spec, mode, entry(spec.name));
    if (made === null) erase(["parameters", spec.name]);
    else write(["parameters", spec.name], made);
    draw(spec, whole, entry(spec.name));
    whole.querySelector("select").focus();
  }

  function given(spec, mode, node, place) {
    if (mode === "left") return element("span", { class: "hint" }, `${spec.meaning.replaceAll("\`", "")} · ${spec.default === null ? "not set" : `default ${shown(spec.default)}`}`);
    if (mode === "written") return element("code", { class: "soft small" }, JSON.stringify(plain(node)));
    if (mode === "fixed") return fixed(spec, node, place);
    return mode === "choices" ? choices(spec, node, place) : range(spec, node, place);
  }

  function fixed(spec, node, place) {
    const isBare = node.kind !== "map";
    const path = ["parameters", spec.name, ...(isBare ? [] : ["value"])];
    const held = isBare ? node : under(node, "value");
    const label = `${word(spec.name)}: value`;
    const control = spec.choices.length || spec.kind === "bool"
      ? choice(String(plain(held)), spec.kind === "bool" ? ["true", "false"] : spec.choices, (one) => write(path, spec.kind === "bool" ? one === "true" : one), { "aria-label": label })
      : line(wordsOf(spec, held), (words) => write(path, typed(spec, words)), { isNumber: spec.kind !== "units", "aria-label": label, placeholder: spec.kind === "units" ? "128-64-32" : null });
    complaints.add(`/${path.join("/")}`, [control], place);
    return control;
  }

  function choices(spec, node, place) {
    const path = ["parameters", spec.name, "values"];
    const items = under(node, "values")?.items ?? [];
    const label = `${word(spec.name)}: values`;
    if (spec.choices.length || spec.kind === "bool") {
      const { whole, inputs } = boxes(label, items.map((one) => String(plain(one))), spec.kind === "bool" ? ["true", "false"] : spec.choices,
        (all) => write(path, all.map((one) => (spec.kind === "bool" ? one === "true" : one))));
      complaints.add(`/${path.join("/")}`, inputs, place);
      return whole;
    }
    const control = line(items.map((one) => wordsOf(spec, one)).join(", "), (words) => write(path, listed(spec, words)),
      { "aria-label": label, placeholder: spec.kind === "units" ? "128-64, 64-64-64" : "0.1, 0.01" });
    complaints.add(`/${path.join("/")}`, [control], place);
    return control;
  }

  function range(spec, node, place) {
    const path = ["parameters", spec.name];
    const label = (what) => `${word(spec.name)}: ${what}`;
    const bound = (key, words) => {
      const control = line(under(node, key)?.written ?? "", (text) => write([...path, key], new Typed(text)), { isNumber: true, "aria-label": label(words) });
      complaints.add(`/${path.join("/")}/${key}`, [control], place);
      return control;
    };
    const low = bound("min", "smallest");
    const high = bound("max", "largest");
    const scale = choice(scaleOf(node), [["linear", "linear"], ["log", "log"]], rewrite, { "aria-label": label("scale") });
    const step = line(under(node, "q")?.written ?? "", rewrite, { isNumber: true, "aria-label": label("step"), placeholder: "any" });
    complaints.add(`/${path.join("/")}/q`, [step], place);
    complaints.add(`/${path.join("/")}/distribution`, [scale], place);
    function rewrite() {
      write(path, ranged(spec, low.value, high.value, scale.value, step.value.trim()));
    }
    return [element("span", { class: "bounds" }, low, element("span", { class: "soft small", "aria-hidden": "true" }, "to"), high),
      element("span", { class: "bounds" }, scale, element("span", { class: "soft small", "aria-hidden": "true" }, "step"), step)];
  }

  let current = () => null;
  const entry = (name) => under(current(), name);
  const note = element("p", { class: "hint" });
  const whole = element("div", {}, usual, more, note, section);
  return { whole, show, follow: (look) => { current = look; } };
}

function under(node, key) {
  return node?.kind === "map" ? node.entries.find((one) => one.key === key)?.node ?? null : null;
}

/** How a parameter is given. */
function modeOf(spec, node) {
  if (node === null) return "left";
  if (node.kind === "scalar") return node.written === "" ? "written" : "fixed";
  if (node.kind === "list") return spec.kind === "units" && node.items.every((one) => one.kind === "scalar") ? "fixed" : "written";
  const keys = node.entries.map(({ key }) => key).sort().join(" ");
  const distribution = under(node, "distribution")?.value ?? null;
  if (/^(distribution )?value$/.test(keys) && [null, "constant"].includes(distribution)) return under(node, "value").kind === "map" ? "written" : "fixed";
  if (/^(distribution )?values$/.test(keys) && [null, "categorical"].includes(distribution)) return under(node, "values").kind === "list" ? "choices" : "written";
  const isRange = spec.range && /^(distribution )?max min( q)?$/.test(keys) && (distribution === null || Object.hasOwn(SCALES, distribution));
  return isRange && ["min", "max", "q"].every((key) => (under(node, key)?.kind ?? "scalar") === "scalar") ? "range" : "written";
}

const scaleOf = (node) => SCALES[under(node, "distribution")?.value ?? "uniform"];

/** What a row begins with when its mode is chosen; null leaves the parameter out. */
function start(spec, mode, node) {
  const before = node === null ? null : plain(node);
  const known = before?.value ?? before?.values?.[0] ?? (before !== null && typeof before !== "object" ? before : null) ?? (Array.isArray(before) ? before : null) ?? spec.default;
  if (mode === "left") return null;
  if (mode === "fixed") return known ?? new Typed(STARTS[spec.name]?.[1] ?? "");
  if (mode === "range") return ranged(spec, ...STARTS[spec.name], "");
  if (spec.kind === "bool") return { values: [true, false] };
  if (spec.kind === "units") return { values: [known, [64, 64, 64]] };
  if (spec.choices.length) return { values: [...new Set([known, ...spec.choices])].slice(0, 3) };
  return { values: STARTS[spec.name].slice(0, 2).map((one) => new Typed(one)) };
}

function ranged(spec, low, high, scale, step) {
  const isWhole = spec.kind === "int";
  const [distribution, q] = scale === "log"
    ? (step || isWhole ? ["q_log_uniform_values", step || "1"] : ["log_uniform_values", null])
    : (step ? ["q_uniform", step] : [isWhole ? "int_uniform" : "uniform", null]);
  return { distribution, min: new Typed(low), max: new Typed(high), ...(q === null ? {} : { q: new Typed(q) }) };
}

/** A value as the form shows it: the widths of layers joined, all else as it is written. */
function wordsOf(spec, node) {
  if (node === null) return "";
  if (node.kind === "list") return node.items.map((one) => one.written ?? JSON.stringify(plain(one))).join("-");
  return node.kind === "scalar" ? node.written : JSON.stringify(plain(node));
}

function typed(spec, words) {
  if (spec.kind !== "units") return new Typed(words);
  return words.split(/[-\s,;]+/).filter(Boolean).map((one) => new Typed(one));
}

function listed(spec, words) {
  return words.split(",").map((one) => one.trim()).filter(Boolean).map((one) => typed(spec, one));
}
