// One trial: what its gradients did, why, and what to try.
import { at, get, post } from "./api.js";
import { parameterList, takeAlong } from "./best_card.js";
import { confirm } from "./dialog.js";
import { element, fill, renew, repeat } from "./dom.js";
import { figure, prepareFigures } from "./figure.js";
import { searched } from "./figure_tabs.js";
import { isBeingRecorded, recordingCard } from "./recording_card.js";
import { duration, metric, moment, number, sign, word } from "./words.js";

const LIVE = ["waiting", "running"];
const SHOWN = 4;

/** Show a trial; while it runs, look again. */
export async function trialView(view, { id }, signal) {
  prepareFigures();
  let trial = await get(at`/v1/trials/${id}`, signal);
  const sweep = await get(at`/v1/sweeps/${trial.sweep_id}`, signal);
  const head = element("div");
  const facts = element("section", { class: "card", "aria-label": "Results" });
  const story = element("section", { class: "card story", "aria-labelledby": "story" });
  const attempts = element("section", { class: "card" });
  const wrong = element("p", { class: "notice wrong", role: "alert", hidden: true });
  const plots = { gradient_flow: figure({ isLow: true }), update_ratio: figure({ isLow: true }), depth_profile: figure(), learning_curve: figure() };
  const bell = new EventTarget();
  const ring = () => bell.dispatchEvent(new Event("ring"));
  const recording = recordingCard(ring, signal);
  const slider = element("input", { type: "range", id: "epoch", min: 0, step: 1, oninput: profile });
  const label = element("label", { for: "epoch" }, "Epoch");
  const reading = element("output", { for: "epoch", class: "numbers" });
  let last = null;

  function profile() {
    reading.textContent = slider.value === "0" ? "start" : slider.value;
    return plots.depth_profile.show(at`/v1/trials/${id}/figures/depth_profile?epoch=${slider.value}`, signal);
  }

  async function look() {
    const [found, diagnosis, tries] = await Promise.all([
      get(at`/v1/trials/${id}`, signal), get(at`/v1/trials/${id}/diagnosis`, signal), get(at`/v1/trials/${id}/attempts`, signal)]);
    trial = found;
    document.title = `${sweep.name} #${trial.number} · gradsweep`;
    renew(head, heading(trial, sweep, act));
    renew(facts, results(trial, sweep));
    renew(story, judgement(trial, diagnosis, act));
    renew(attempts, history(trial, tries.attempts));
    recording.update(trial);
    const seen = `${trial.attempt}/${trial.epoch}`;
    if (seen !== last) {
      last = seen;
      const isAtEnd = slider.value === slider.max;
      slider.max = trial.epoch ?? 0;
      if (isAtEnd || !reading.textContent) slider.value = slider.max;
      for (const kind of ["gradient_flow", "update_ratio", "learning_curve"]) plots[kind].show(at`/v1/trials/${id}/figures/${kind}`, signal);
      profile();
    }
    return LIVE.includes(trial.state) || isBeingRecorded(trial) ? 2000 : 30000;
  }

  async function act(name) {
    if (name === "cancel" && !(await confirm({
      title: `Cancel trial ${trial.number}?`, words: "If it runs, it ends at its next epoch. It can be tried again later.", action: "Cancel the trial", isDangerous: true,
    }))) return;
    try {
      wrong.hidden = true;
      const done = await post(at`/v1/trials/${id}` + `:${name}`);
      if (name === "rescue") location.hash = at`#/trials/${done.id}`;
      else ring();
    } catch (error) {
      if (signal.aborted) return;
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  }

  signal.addEventListener("abort", () => Object.values(plots).forEach((plot) => plot.end()));
  await look();
  fill(view, head, wrong, facts, story,
    element("section", { class: "card", "aria-labelledby": "flow" },
      element("h2", { id: "flow" }, "Gradient flow"),
      element("p", { class: "lead small", style: "max-width: 96ch" }, "Each row is a layer, the input at the bottom; each column an epoch, the start on the left. Blue is smaller than the middle of epoch 1, red larger: where a gradient vanishes, blue rises from the input. On the right, how much each step changes the weights: a thousandth is good, red is too much, blue is standing still."),
      element("div", { class: "two", style: "margin-top: 16px" }, plots.gradient_flow.whole, plots.update_ratio.whole)),
    element("div", { class: "two" },
      element("section", { class: "card", "aria-labelledby": "depth" }, element("h2", { id: "depth" }, "Over depth"), plots.depth_profile.whole,
        element("div", { class: "slider" }, label, slider, reading)),
      element("section", { class: "card", "aria-labelledby": "learned" }, element("h2", { id: "learned" }, "How it learned"), plots.learning_curve.whole)),
    recording.whole,
    element("section", { class: "card", "aria-labelledby": "with" },
      element("div", { class: "row between", style: "margin-bottom: 18px" }, element("h2", { id: "with" }, "Parameters"),
        element("div", { class: "row" }, takeAlong(trial))),
      parameterList(trial.parameters, searched(sweep))),
    attempts);
  await repeat(() => look().catch((error) => { if (signal.aborted || error.status !== 0) throw error; return 5000; }), signal, 30000, bell).catch((error) => { if (!signal.aborted) throw error; });
}

function heading(trial, sweep, act) {
  return element("div", { class: "head" },
    element("div", {},
      element("p", { class: "trail" }, element("a", { href: "#/" }, "Sweeps"), " / ", element("a", { href: at`#/sweeps/${sweep.id}` }, sweep.name)),
      element("h1", {}, `Trial ${trial.number}`),
      element("p", { class: "row", style: "margin-top: 12px" }, sign(trial.state, undefined, "chip"), trial.verdict ? sign(trial.verdict, undefined, "chip") : null,
        trial.prune_reason ? element("span", { class: "soft small" }, trial.prune_detail ?? word(trial.prune_reason)) : null)),
    element("div", { class: "row" },
      LIVE.includes(trial.state) ? element("button", { class: "danger", onclick: () => act("cancel") }, "Cancel …") : null,
      ["failed", "cancelled"].includes(trial.state) ? element("button", { class: "primary", onclick: () => act("retry") }, "Try again") : null));
}

function results(trial, sweep) {
  const facts = [
    [word(sweep.metric.name), metric(sweep.metric.name, trial.objective)],
    ["test accuracy", metric("accuracy", trial.test_accuracy)],
    ["stability", number(trial.stability, 2)],
    ["epochs", trial.epoch === null ? "–" : `${trial.epoch} of ${trial.parameters.epochs}`],
    ["time", duration(trial.device_seconds)],
  ];
  return [
    element("div", { class: "stages" }, facts.map(([name, words]) => element("div", {}, element("div", { class: "value" }, words), element("div", { class: "soft small" }, name)))),
    trial.failure ? element("div", { style: "margin-top: 20px; display: grid; gap: 12px" },
      element("p", { class: "notice wrong" }, `${word(trial.failure.kind)}: ${trial.failure.type ?? ""} ${trial.failure.message ?? ""}`),
      trial.failure.traceback ? element("details", {}, element("summary", {}, "Traceback"), element("pre", {}, trial.failure.traceback)) : null) : null,
  ];
}

function judgement(trial, diagnosis, act) {
  const parts = Object.entries(diagnosis.stability_parts);
  return [
    element("h2", { id: "story" }, "What its gradients did"),
    element("p", { class: "lead", style: "color: inherit" }, diagnosis.verdict ? sign(diagnosis.verdict, word(diagnosis.verdict)) : null, diagnosis.cause),
    diagnosis.evidence.length || diagnosis.early_warning.length ? element("ul", { class: "plain evidence small", style: "margin-top: 16px" },
      diagnosis.evidence.slice(0, SHOWN).map((one) => element("li", {}, evidence(one))),
      diagnosis.evidence.length > SHOWN ? element("li", { class: "soft" }, `and ${diagnosis.evidence.length - SHOWN} more of the kind`) : null,
      diagnosis.early_warning.slice(0, 1).map((one) => element("li", { class: "soft" }, `Before the first update already: ${evidence(one)}`))) : null,
    diagnosis.measured_slope !== null ? element("p", { class: "small soft", style: "margin-top: 14px" },
      `Slope over depth, in decades per layer: ${number(diagnosis.measured_slope, 2)} while it learned, ${number(diagnosis.slope_at_initialization, 2)} at the start`
      + `${diagnosis.expected_slope === null ? "." : `, where theory expects ${number(diagnosis.expected_slope, 2)}.`} Positive: it vanishes toward the input.`) : null,
    diagnosis.remedies.length ? [
      element("h3", { style: "margin: 22px 0 10px" }, "What to try"),
      element("ul", { class: "plain small" }, diagnosis.remedies.map((remedy) => element("li", {},
        element("code", {}, Object.entries(remedy.changes).map(([name, given]) => `${name}: ${given}`).join(", ")), ` ${remedy.reason}`))),
      Object.keys(diagnosis.rescue).length && !LIVE.includes(trial.state) ? element("p", { style: "margin-top: 16px" },
        element("button", { onclick: () => act("rescue") }, "Try these changes")) : null,
    ] : null,
    [trial.rescue_of, ...trial.rescues].filter(Boolean).map((one) => element("p", { class: "small", style: "margin-top: 14px" },
      `${one.summary} `, element("a", { href: at`#/trials/${one.trial_id}` }, `Trial ${one.number}`))),
    parts.length ? element("details", { style: "margin-top: 20px" }, element("summary", { class: "small" }, `Stability ${number(diagnosis.stability, 2)}, part by part`),
      element("dl", {}, parts.map(([name, size]) => element("div", {}, element("dt", {}, name === diagnosis.stability_limited_by ? `${name} (limits)` : name),
        element("dd", {}, size === null ? "not measured" : number(size, 2)))))) : null,
  ];
}

function evidence(one) {
  const where = [one.layer !== null ? `layer ${one.layer}` : null, one.epoch !== null ? `epoch ${one.epoch}` : null, one.step !== null ? `step ${one.step}` : null];
  const found = one.value === null ? one.nonfinite.value : number(one.value, 3);
  const place = where.filter(Boolean).join(", ");
  return `${word(one.metric)} ${found}, threshold ${number(one.threshold, 3)}${place ? ` (${place})` : ""}`;
}

function history(trial, attempts) {
  return [
    element("h2", { style: "margin-bottom: 8px" }, "Attempts"),
    attempts.length ? element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Attempts" }, element("table", { class: "cards" },
      element("thead", {}, element("tr", {}, ["Attempt", "Worker", "Outcome", "Began", "Ended"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, attempts.map((one) => element("tr", {},
        element("th", { scope: "row" }, `#${one.attempt}`), element("td", {}, element("code", {}, one.worker_id)), element("td", {}, one.outcome ? word(one.outcome) : "running"),
        element("td", { "data-label": "began" }, moment(one.started_at)), element("td", { "data-label": "ended" }, one.ended_at ? moment(one.ended_at) : "")))))) : element("p", { class: "soft" }, "No worker has taken it yet."),
  ];
}
