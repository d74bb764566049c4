// A new sweep: write the file, see at once what would become of it, submit it.
import { at, request, sweepFile } from "./api.js";
import { copyButton } from "./best_card.js";
import { announce, element, fill } from "./dom.js";
import { count, duration, number, word } from "./words.js";

const TYPING_MS = 400;
const EXAMPLE = `# Everything else has a default: see the answer on the right.
name: first-look
dataset: digits              # mnist-5k, mnist, fashion-mnist
method: tpe                  # random, grid, qmc
metric: {name: val_accuracy}
run_cap: 20
early_terminate: {type: hyperband, min_iter: 1, eta: 3}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1.0}
  optimizer: {values: [sgd, adam, rmsprop]}
  normalization: {values: [none, batch, layer]}
  dropout: {min: 0.0, max: 0.5}
  residual: {values: [true, false]}
  hidden_units: {value: [64, 64, 64]}
  epochs: 8
`;

/** Show the form. `from` starts with another sweep's file. */
export async function newView(view, { search }, signal) {
  const text = element("textarea", { id: "file", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-describedby": "verdict", value: await start(search, signal) });
  const answer = element("div", { id: "verdict", class: "card", "aria-live": "polite" });
  const submit = element("button", { class: "primary", type: "submit", disabled: true }, "Submit the sweep");
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  let timer = null;
  let asked = 0;

  async function check() {
    const mine = ++asked;
    try {
      const plan = await request("/v1/sweeps?validate_only=true", { ...sweepFile(text.value), signal });
      if (mine !== asked) return;
      fill(answer, planned(plan));
      submit.disabled = false;
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return;
      submit.disabled = true;
      fill(answer, refused(error, (pointer) => select(text, pointer)));
    }
  }

  async function send(event) {
    event.preventDefault();
    submit.disabled = true;
    try {
      const headers = { "Idempotency-Key": `${key}-${digest(text.value)}` };
      const sweep = await request("/v1/sweeps", { ...sweepFile(text.value, headers), signal });
      announce(`${sweep.name} is submitted`);
      location.hash = at`#/sweeps/${sweep.id}`;
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(answer, refused(error, (pointer) => select(text, pointer)));
      submit.disabled = false;
    }
  }

  text.addEventListener("input", () => {
    submit.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(check, TYPING_MS);
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  fill(view,
    element("div", {}, element("h1", {}, "New sweep"), element("p", { class: "lead" }, "The file is checked as you type; nothing is written until you submit it.")),
    element("form", { class: "drafting", onsubmit: send },
      element("div", { class: "field", style: "gap: 12px" }, element("label", { for: "file" }, "Sweep file (YAML or JSON)"), text, element("div", { class: "row" }, submit)),
      element("div", { style: "display: grid; gap: 28px; grid-template-columns: minmax(0, 1fr)" }, answer, commands())));
  await check();
}

async function start(search, signal) {
  if (search.get("from")) return request(at`/v1/sweeps/${search.get("from")}/file`, { signal }).then((file) => (typeof file === "string" ? file : JSON.stringify(file, null, 2)));
  return EXAMPLE;
}

function planned(plan) {
  const numbers = Object.entries(plan.plan).filter(([, size]) => typeof size === "number");
  return [
    element("h2", { class: "s-stable", style: "margin-bottom: 16px" }, "✓ This can run"),
    element("dl", {}, numbers.map(([name, size]) => element("div", {}, element("dt", {}, name === "estimated_minutes" ? "estimated time" : word(name)),
      element("dd", {}, name === "estimated_minutes" ? duration(size * 60) : number(size, 3))))),
    plan.warnings.length ? element("ul", { class: "plain small", style: "margin-top: 18px" }, plan.warnings.map((words) => element("li", { class: "notice" }, words))) : null,
    element("details", { style: "margin-top: 18px" }, element("summary", { class: "small" }, `With ${count(plan.defaulted.length, "default")} filled in`),
      element("pre", {}, JSON.stringify(plan.resolved, null, 2))),
  ];
}

function refused(error, onChoose) {
  return [
    element("h2", { class: "s-failed", style: "margin-bottom: 6px" }, "✕ This cannot run yet"),
    element("p", { class: "soft small", style: "margin-bottom: 14px" }, error.message),
    element("ul", { class: "plain problems small" }, error.errors.map(({ pointer, message }) => element("li", { class: "notice wrong" },
      element("button", { type: "button", class: "quiet", style: "justify-self: start; margin-left: -8px", onclick: () => onChoose(pointer) }, element("code", {}, pointer || "the whole file")),
      element("span", {}, message)))),
  ];
}

/** Select the key that a pointer ends in, as well as it can be found in the text. */
function select(text, pointer) {
  const keys = pointer.split("/").filter((key) => key && !/^\d+$/.test(key));
  let found = 0;
  let length = 0;
  for (const key of keys) {
    const next = text.value.indexOf(key, found + length);
    if (next < 0) continue;
    found = next;
    length = key.length;
  }
  text.focus();
  text.setSelectionRange(found, found + length);
}

function commands() {
  const cli = `gradsweep submit sweep.yaml --watch --url ${location.origin}`;
  const curl = `curl -X POST ${location.origin}/v1/sweeps \\\n  -H 'Content-Type: application/yaml' \\\n  --data-binary @sweep.yaml`;
  const one = (name, words) => [element("div", { class: "row between", style: "margin: 14px 0 6px" }, element("h3", {}, name), copyButton("Copy", () => words)), element("pre", {}, words)];
  return element("section", { class: "card", "aria-labelledby": "same" }, element("h2", { id: "same" }, "The same from elsewhere"),
    element("p", { class: "soft small", style: "margin-top: 6px" }, "With the file saved as sweep.yaml:"), one("Terminal", cli), one("curl", curl));
}

/** The same file gets the same key: a repeated submission makes one sweep. */
function digest(text) {
  let sum = 0;
  for (const character of text) sum = (Math.imul(sum, 31) + character.codePointAt(0)) >>> 0;
  return sum.toString(16);
}
