// Who trains: each worker as it last told of itself.
import { get } from "./api.js";
import { element, fill, renew, repeat } from "./dom.js";
import { duration, number, sign, since, word } from "./words.js";

/** Show the workers, and keep the table true. */
export async function workersView(view, _parameters, signal) {
  const place = element("div");

  async function look() {
    const { workers } = await get("/v1/workers", signal);
    renew(place, workers.length ? table(workers) : nothing());
    return 3000;
  }

  await look();
  fill(view, element("div", {}, element("h1", {}, "Workers"), element("p", { class: "lead" }, "Processes that train. Start as many as you like, here or on other machines.")), place);
  await repeat(() => look().catch((error) => { if (signal.aborted || error.status !== 0) throw error; return 5000; }), signal).catch((error) => { if (!signal.aborted) throw error; });
}

function table(workers) {
  return element("section", { class: "card" }, element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Workers" }, element("table", { class: "cards workers" },
    element("caption", { class: "unseen" }, "Workers, the one heard of latest first"),
    element("thead", {}, element("tr", {}, ["Worker", "Heard of", "Phase", "Slots", "Trials/h", "Idle slot-time", "Device", "Steps"].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, workers.map(row)))));
}

function row(worker) {
  const state = worker.is_quarantined ? sign("failed", "quarantined") : worker.is_alive ? sign("running", "alive") : sign("cancelled", "silent");
  return element("tr", {},
    element("th", { scope: "row" }, element("strong", {}, worker.host), element("div", { class: "soft small" }, element("code", {}, worker.id), ` · process ${worker.pid}`)),
    element("td", {}, state, element("div", { class: "soft small" }, `${duration(since(worker.last_seen))} ago`)),
    element("td", { "data-label": "phase" }, worker.is_alive ? [word(worker.phase), element("div", { class: "soft small" }, `for ${duration(since(worker.phase_since))}`)] : "–"),
    element("td", { "data-label": "slots" }, `${number(worker.n_trials)} of ${number(worker.n_slots)}`, element("div", { class: "soft small" }, `${worker.trainer} trainer`)),
    element("td", { "data-label": "trials/h" }, worker.trials_per_hour ? number(worker.trials_per_hour, 2) : "–"),
    element("td", { "data-label": "idle slot-time" }, idleness(worker.idle_slot_seconds)),
    element("td", { "data-label": "device" }, worker.device),
    element("td", { "data-label": "steps" }, number(worker.steps_done), worker.failures_in_a_row ? element("div", { class: "soft small" }, `${worker.failures_in_a_row} failures in a row`) : null));
}

/** For how long slots stood idle since the process began, and why; the longest first. */
function idleness(slotSeconds) {
  const causes = Object.entries(slotSeconds).sort(([, a], [, b]) => b - a);
  return causes.length ? causes.map(([cause, seconds]) => element("div", { class: "small" }, `${word(cause)} ${duration(seconds)}`)) : "–";
}

function nothing() {
  return element("section", { class: "card nothing" },
    element("h2", {}, "No worker yet"),
    element("p", { class: "soft" }, "Sweeps wait until one comes. On the machine that shall train:"),
    element("pre", {}, `gradsweep worker --url ${location.origin}`));
}
