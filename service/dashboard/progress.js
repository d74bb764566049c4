// How far a sweep is: a bar in parts, and the same in words.
import { element } from "./dom.js";
import { TRIAL_STATES, count, duration, number, sign, word } from "./words.js";

/** All trials that were made so far. */
export const made = (counts) => TRIAL_STATES.reduce((sum, state) => sum + counts[state], 0);

/** The bar; what is not done yet stays empty. */
export function bar(sweep) {
  const { counts, progress } = sweep;
  const total = Math.max(progress.trials_total ?? 0, made(counts), 1);
  const parts = TRIAL_STATES.filter((state) => state !== "waiting" && counts[state] > 0);
  const open = total - parts.reduce((sum, state) => sum + counts[state], 0);
  return element("div", {
    class: "bar", role: "progressbar", "aria-label": "Trials done", "aria-valuemin": 0, "aria-valuemax": total,
    "aria-valuenow": progress.trials_done, "aria-valuetext": inWords(sweep),
  },
    parts.map((state) => element("i", { class: state, style: `flex-grow: ${counts[state]}`, title: `${counts[state]} ${state}` })),
    element("i", { style: `flex-grow: ${open}` }));
}

/** "12 of 24 trials · 2 min left". */
export function inWords(sweep) {
  const { progress } = sweep;
  const total = progress.trials_total;
  const done = total === null ? `${count(progress.trials_done, "trial")} done` : `${number(progress.trials_done)} of ${count(total, "trial")}`;
  return progress.eta_seconds === null ? done : `${done} · about ${duration(progress.eta_seconds)} left`;
}

/** Counts by state: signs and words. */
export function tally(counts) {
  return element("div", { class: "tally" },
    TRIAL_STATES.filter((state) => counts[state] > 0).map((state) => sign(state, `${number(counts[state])} ${word(state)}`)));
}
