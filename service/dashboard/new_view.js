// A new sweep: a form and the file, two views of one text; see at once what would become of it, submit it.
import { at, get, request, sweepFile } from "./api.js";
import { announce, element, fill } from "./dom.js";
import { elsewhere } from "./elsewhere.js";
import { locate } from "./file_editor.js";
import { sweepForm } from "./sweep_form.js";
import { count, duration, number, word } from "./words.js";

const TYPING_MS = 400;
const EXAMPLE = `# Everything else has a default.
name: first-look
dataset: digits
method: tpe
metric: {name: val_accuracy}
run_cap: 20
early_terminate: {type: hyperband, min_iter: 1, eta: 3}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1.0}
  optimizer: {values: [sgd, adam, rmsprop]}
  normalization: {values: [none, batch, layer]}
  dropout: {distribution: uniform, min: 0.0, max: 0.5}
  residual: {values: [true, false]}
  hidden_units: {value: [64, 64, 64]}
  epochs: 8
`;

/** Show form and file. `from` starts with another sweep's file. */
export async function newView(view, { search }, signal) {
  const [offered, begin, session] = await Promise.all([get("/dashboard/form_choices.json", signal), start(search, signal), get("/v1/session", signal)]);
  const text = element("textarea", { id: "file", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-describedby": "verdict", value: begin });
  const verdict = element("div", { id: "verdict", role: "status" });
  const answer = element("section", { class: "card", "aria-label": "The plan" });
  const submit = element("button", { class: "primary", type: "submit", disabled: true }, "Submit the sweep");
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const same = elsewhere(() => text.value, session.is_token_needed);
  const form = sweepForm(offered, { look: () => text.value, put: (words) => { text.value = words; later(); } });
  let timer = null;
  let asked = 0;

  /** Ask for the plan when typing has paused. */
  function later() {
    asked += 1;
    submit.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(check, TYPING_MS);
  }

  async function check() {
    const mine = ++asked;
    same.update();
    try {
      const plan = await request("/v1/sweeps?validate_only=true", { ...sweepFile(text.value), signal });
      if (mine !== asked) return;
      form.complain([]);
      fill(verdict, element("h2", { class: "s-stable" }, "✓ This can run"), element("p", { class: "soft small" }, inShort(plan.plan)));
      fill(answer, planned(plan));
      submit.disabled = false;
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return;
      submit.disabled = true;
      tell(error);
    }
  }

  function tell(error) {
    form.complain(error.errors);
    const first = error.errors[0];
    fill(verdict, element("h2", { class: "s-failed" }, "✕ This cannot run yet"),
      element("p", { class: "soft small" }, error.errors.length > 1 ? `${count(error.errors.length, "problem")}, the first: ${first.message}` : first?.message ?? error.message));
    fill(answer, refused(error, (pointer) => select(text, pointer)));
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
      tell(error);
      submit.disabled = false;
    }
  }

  text.addEventListener("input", () => { form.refresh(); later(); });
  signal.addEventListener("abort", () => clearTimeout(timer));
  form.refresh();
  fill(view,
    element("div", {}, element("h1", {}, "New sweep"), element("p", { class: "lead" }, "Fill in the form or write the file: each shows the other. It is checked as you type; nothing is written until you submit it.")),
    element("form", { class: "drafting", onsubmit: send },
      form.whole,
      element("div", { class: "drafted" },
        element("div", { class: "field" }, element("label", { for: "file" }, "Sweep file (YAML or JSON)"), text), answer, same.whole),
      element("div", { class: "submitting" }, verdict, submit)));
  await check();
}

async function start(search, signal) {
  if (search.get("from")) return request(at`/v1/sweeps/${search.get("from")}/file`, { signal }).then((file) => (typeof file === "string" ? file : JSON.stringify(file, null, 2)));
  return EXAMPLE;
}

/** "20 trials in 1 program, about 2 min". */
function inShort(plan) {
  const parts = [plan.trials === null ? "as many trials as time allows" : count(plan.trials, "trial"), count(plan.programs, "program")];
  return `${parts.join(" in ")}${plan.estimated_minutes === null ? "" : `, about ${duration(plan.estimated_minutes * 60)}`}`;
}

function planned(plan) {
  const numbers = Object.entries(plan.plan).filter(([, size]) => typeof size === "number");
  return [
    element("h2", {}, "What it would do"),
    element("dl", {}, numbers.map(([name, size]) => element("div", {}, element("dt", {}, name === "estimated_minutes" ? "estimated time" : word(name)),
      element("dd", {}, name === "estimated_minutes" ? duration(size * 60) : number(size, 3))))),
    plan.warnings.length ? element("ul", { class: "plain small" }, plan.warnings.map((words) => element("li", { class: "notice" }, words))) : null,
    element("details", {}, element("summary", { class: "small" }, `With ${count(plan.defaulted.length, "default")} filled in`),
      element("pre", { tabindex: 0 }, JSON.stringify(plan.resolved, null, 2))),
  ];
}

function refused(error, onChoose) {
  return [
    element("h2", {}, "What stands against it"),
    error.errors.length ? null : element("p", { class: "soft small" }, error.message),
    element("ul", { class: "plain problems small" }, error.errors.map(({ pointer, message }) => element("li", { class: "notice wrong" },
      element("button", { type: "button", class: "quiet", onclick: () => onChoose(pointer) }, element("code", {}, pointer || "the whole file")),
      element("span", {}, message)))),
  ];
}

/** Select the key that a pointer leads to. */
function select(text, pointer) {
  const found = locate(text.value, pointer);
  text.focus();
  if (!found) return;
  text.setSelectionRange(...found);
  text.scrollTop = Math.max(0, text.value.slice(0, found[0]).split("\n").length - 4) * parseFloat(getComputedStyle(text).lineHeight);
}

/** The same file gets the same key: a repeated submission makes one sweep. */
function digest(text) {
  let sum = 0;
  for (const character of text) sum = (Math.imul(sum, 31) + character.codePointAt(0)) >>> 0;
  return sum.toString(16);
}
