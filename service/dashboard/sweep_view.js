// One sweep: live counters, the best so far, figures, trials, and the means to steer it.
import { at, follow, get, post, remove } from "./api.js";
import { bestCard, copyButton } from "./best_card.js";
import { confirm } from "./dialog.js";
import { announce, element, fill, renew } from "./dom.js";
import { prepareFigures } from "./figure.js";
import { figureTabs, searched } from "./figure_tabs.js";
import { bar, inWords, tally } from "./progress.js";
import { trialsTable } from "./trials_table.js";
import { VERDICTS, count, duration, metric, moment, number, sign, since, word } from "./words.js";

const LOOK_MS = 1000;
const DRAW_MS = 5000;
const SAY_MS = 12000;
const ENDS = new Set(["trial_completed", "trial_pruned", "trial_failed", "trial_cancelled", "sweep_completed", "sweep_cancelled"]);
const ACTIONS = {
  pause: { label: "Pause", when: ["queued", "running"], path: ":pause" },
  resume: { label: "Resume", when: ["paused"], path: ":resume", class: "primary" },
  stop: {
    label: "Stop …", when: ["queued", "running", "paused"], path: ":stop", title: "Stop this sweep?", action: "Stop it",
    words: "Trials that run now finish; those that wait are cancelled. It cannot be started again.",
  },
  cancel: {
    label: "Cancel …", when: ["queued", "running", "paused", "stopping"], path: ":cancel", title: "Cancel this sweep?", action: "Cancel the sweep",
    words: "Trials that run now end at their next epoch, and those that wait are cancelled. What was measured stays.", isDangerous: true,
  },
  retry: {
    label: (sweep) => `Try ${count(sweep.counts.failed, "failed trial")} again`, when: ["queued", "running", "paused", "completed"], path: ":retry_failed",
    isPossible: (sweep) => sweep.counts.failed > 0,
  },
  delete: {
    label: "Delete …", when: ["completed", "cancelled"], title: "Delete this sweep?", action: "Delete for good", isDangerous: true,
    words: "All its trials, epochs and gradients go with it. There is no way back.",
  },
};

/** Show a sweep, and follow it until it is over. */
export async function sweepView(view, { id }, signal) {
  prepareFigures();
  let sweep = await get(at`/v1/sweeps/${id}`, signal);
  const names = searched(sweep);
  const head = element("div");
  const progress = element("section", { class: "card progress", "aria-label": "Progress" });
  const best = element("div");
  const verdicts = element("section", { class: "card", "aria-labelledby": "fared" });
  const line = element("span", { class: "small soft" });
  let isFollowed = false;
  const wrong = element("p", { class: "notice wrong", role: "alert", hidden: true });
  const figures = await figureTabs(sweep, signal);
  const table = trialsTable(sweep, names, signal);
  const looks = throttle(look, LOOK_MS, signal);
  const draws = throttle(() => figures.update(), DRAW_MS, signal);
  const says = throttle(() => announce(`${inWords(sweep)}${sweep.best ? `, best ${metric(sweep.metric.name, sweep.best.objective)}` : ""}`), SAY_MS, signal);

  async function look() {
    const [found, top] = await Promise.all([get(at`/v1/sweeps/${id}`, signal), get(at`/v1/sweeps/${id}/best?k=1`, signal)]);
    sweep = found;
    show(top);
    await table.update();
  }

  function show(top) {
    document.title = `${sweep.name} · gradsweep`;
    renew(head, heading(sweep, act, line));
    renew(progress, counters(sweep));
    renew(best, bestCard(top, names));
    renew(verdicts, shares(sweep, table.choose));
  }

  /** Follow the events, unless somebody does; a sweep that was over may have been opened again. */
  async function listen() {
    if (isFollowed) return;
    isFollowed = true;
    await follow(sweep.id, sweep.last_event, {
      signal,
      onLine: (state) => { line.textContent = { live: "live", lost: "the line is lost; trying again …", over: "" }[state]; if (state === "live") looks(); },
      onEvents: (events) => {
        looks();
        says();
        if (events.some((event) => ENDS.has(event.kind))) draws();
      },
    });
    isFollowed = false;
  }

  async function act(name) {
    const action = ACTIONS[name];
    if (action.title && !(await confirm(action))) return;
    try {
      wrong.hidden = true;
      if (name === "delete") {
        await remove(at`/v1/sweeps/${sweep.id}`);
        location.hash = "#/";
        return;
      }
      await post(at`/v1/sweeps/${sweep.id}` + action.path);
      await look();
      if (!sweep.ended_at) listen();
      announce(`${sweep.name}: ${word(sweep.state)}`);
    } catch (error) {
      if (signal.aborted) return;
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  }

  show(await get(at`/v1/sweeps/${id}/best?k=1`, signal));
  fill(view, head, wrong, progress, element("div", { class: "two" }, best, verdicts), figures.whole, table.whole, file(sweep));
  await listen();
}

function heading(sweep, act, line) {
  const actions = Object.entries(ACTIONS).filter(([, action]) => action.when.includes(sweep.state) && (action.isPossible?.(sweep) ?? true));
  return element("div", { class: "head" },
    element("div", {},
      element("p", { class: "trail" }, element("a", { href: "#/" }, "Sweeps")),
      element("h1", {}, sweep.name),
      element("p", { class: "row", style: "margin-top: 12px" }, sign(sweep.state, undefined, "chip"),
        element("span", { class: "soft small" }, sweep.summary.replace(`${sweep.state}: `, "").replace(new RegExp(`^${sweep.state}$`), "")), line)),
    element("div", { class: "row" },
      actions.map(([name, action]) => element("button", { class: action.class ?? (action.isDangerous ? "danger" : null), onclick: () => act(name) }, action.label instanceof Function ? action.label(sweep) : action.label)),
      element("a", { class: "button", href: `#/new?from=${encodeURIComponent(sweep.id)}` }, "Use as a start")));
}

function counters(sweep) {
  const { progress } = sweep;
  const until = sweep.ended_at ? (Date.parse(sweep.ended_at) - Date.parse(sweep.started_at ?? sweep.created_at)) / 1000 : since(sweep.started_at ?? sweep.created_at);
  const hours = until / 3600;
  const facts = [
    ["Trials", progress.trials_total === null ? number(progress.trials_done) : `${number(progress.trials_done)} of ${number(progress.trials_total)}`],
    ["Epochs", number(progress.epochs_done)],
    ["Left", progress.eta_seconds === null ? null : `about ${duration(progress.eta_seconds)}`],
    ["Rate", hours > 0 && progress.trials_done ? `${number(Math.round(progress.trials_done / hours))} trials/h` : "–"],
    ["Method", `${sweep.method}, ${sweep.max_parallel} at once`],
    ["Data", sweep.dataset],
    [sweep.ended_at ? "Took" : "Running for", sweep.started_at ? duration(until) : "not begun"],
    ["Submitted", moment(sweep.created_at)],
  ];
  return [bar(sweep), tally(sweep.counts), element("dl", {}, facts.filter(([, words]) => words).map(([name, words]) => element("div", {}, element("dt", {}, name), element("dd", {}, words))))];
}

function shares(sweep, choose) {
  const found = VERDICTS.filter((verdict) => sweep.verdicts[verdict] > 0);
  const total = found.reduce((sum, verdict) => sum + sweep.verdicts[verdict], 0);
  return [
    element("h2", { id: "fared" }, "How the gradients fared"),
    total ? element("div", { class: "shares", style: "margin-top: 18px" }, found.map((verdict) => [
      element("button", { class: "quiet", title: "Show these trials", onclick: () => choose(verdict) }, sign(verdict)),
      element("div", { class: `track s-${verdict}`, "aria-hidden": "true" }, element("i", { style: `width: ${(100 * sweep.verdicts[verdict]) / total}%` })),
      element("span", { class: "numbers small" }, `${number(sweep.verdicts[verdict])} · ${Math.round((100 * sweep.verdicts[verdict]) / total)} %`),
    ])) : element("p", { class: "lead" }, "A trial is judged when it ends: stable, or which kind of trouble its gradients had, and in which layer."),
    sweep.warnings.length ? element("ul", { class: "plain small", style: "margin-top: 20px" }, sweep.warnings.map((words) => element("li", { class: "notice" }, words))) : null,
  ];
}

function file(sweep) {
  const text = JSON.stringify(sweep.resolved, null, 2);
  return element("section", { class: "card" }, element("details", {}, element("summary", {}, "The sweep file, with every default filled in"),
    element("pre", {}, text), element("div", { class: "row", style: "margin-top: 12px" }, copyButton("Copy", () => text))));
}

/** Call at once, then not again for a while; what was asked meanwhile is done at the end of it. */
function throttle(work, milliseconds, signal) {
  let timer = null;
  let isAsked = false;
  const run = () => {
    isAsked = false;
    timer = setTimeout(() => { timer = null; if (isAsked) run(); }, milliseconds);
    Promise.resolve(work()).catch((error) => { if (!signal.aborted && !(error.status >= 0)) console.error(error); });
  };
  signal.addEventListener("abort", () => { clearTimeout(timer); isAsked = false; });
  return () => {
    if (signal.aborted) return;
    isAsked = true;
    if (timer === null) run();
  };
}
