// The first steps of a trial, one by one: asked for here, made by a worker, drawn when they are there.
import { at, request } from "./api.js";
import { element, fill } from "./dom.js";
import { complaints, field, line, slot } from "./fields.js";
import { figure } from "./figure.js";
import { count, moment, number, sign } from "./words.js";

const STEPS = 500;
const UNDER_WAY = ["queued", "running"];

/** Whether a recording of the trial is being made. */
export const isBeingRecorded = (trial) => UNDER_WAY.includes(trial.recording?.state);

/** The card. `update(trial)` shows how far its recording is; `onChange` is called when one was asked for. */
export function recordingCard(onChange, signal) {
  const plot = figure();
  const place = element("div", { class: "recording" });
  const file = element("a", { download: true }, "Download the steps as csv");
  const drawn = element("div", { class: "recording", hidden: true }, plot.whole, element("p", { class: "small" }, file));
  const said = complaints();
  const wrong = element("p", { class: "notice wrong", role: "alert", hidden: true });
  const steps = line(String(STEPS), () => {}, { inputmode: "numeric" });
  const every = line("1", () => {}, { inputmode: "numeric" });
  const asked = element("form", { class: "asking", onsubmit: ask }, fieldOf("Steps", "steps", steps), fieldOf("One of", "every", every),
    element("button", { type: "submit" }, "Record"));
  let trial = null;
  let shown = null;

  function fieldOf(label, name, control) {
    const own = slot();
    said.add(`/${name}`, [control], own);
    return field(label, control, own);
  }

  async function ask(event) {
    event.preventDefault();
    said.complain([]);
    wrong.hidden = true;
    const body = JSON.stringify({ steps: Number(steps.value), every: Number(every.value) });
    try {
      onChange(await request(at`/v1/trials/${trial.id}` + ":record", { method: "POST", body, headers: { "Content-Type": "application/json" }, signal }));
    } catch (error) {
      if (signal.aborted) return;
      const rest = said.complain(error.errors);
      wrong.textContent = rest[0]?.message ?? error.message;
      wrong.hidden = error.errors.length > 0 && !rest.length;
    }
  }

  function update(found) {
    trial = found;
    const { recording } = trial;
    fill(place, told(trial));
    asked.hidden = ["waiting", "running"].includes(trial.state) || isBeingRecorded(trial);
    drawn.hidden = !recording?.artifact;
    if (recording?.artifact && recording.artifact !== shown) {
      shown = recording.artifact;
      file.href = at`/v1/trials/${trial.id}/artifacts/${shown}`;
      plot.show(at`/v1/trials/${trial.id}/figures/steps`, signal);
    }
  }

  signal.addEventListener("abort", plot.end);
  const whole = element("section", { class: "card", "aria-labelledby": "steps" }, element("h2", { id: "steps" }, "Step by step"), place, drawn, asked, wrong);
  return { whole, update };
}

/** How far it is, in words. */
function told(trial) {
  const { recording } = trial;
  if (["waiting", "running"].includes(trial.state)) return element("p", { class: "lead" }, "When the trial has ended, a worker can train its beginning again and keep every step.");
  if (!recording) return element("p", { class: "lead" }, "An epoch hides what the first steps did. A worker can train the beginning again, with the same numbers, and keep every step: its gradient and its update, layer by layer.");
  const what = `${count(recording.steps, "step")}${recording.every > 1 ? `, one of ${recording.every}` : ""}`;
  return [element("p", { class: "row", role: "status" }, state(recording), element("span", { class: "soft small" }, words(recording, what)))];
}

function state({ state: name }) {
  const signs = { queued: ["waiting", "queued"], running: ["running", "recording"], done: ["completed", "recorded"], failed: ["failed", "not recorded"] };
  return sign(signs[name][0], signs[name][1], "chip");
}

function words(recording, what) {
  if (recording.state === "queued") return `${what}; a worker takes it as soon as one is free`;
  if (recording.state === "running") return `${what}, trained again by ${recording.worker_id}`;
  if (recording.state === "failed") return recording.reason ?? "";
  const same = recording.matches ? "epoch for epoch as it was" : `but it came out otherwise from epoch ${number(recording.differs_from_epoch)} on: see "repeatable" in the documentation`;
  return `${what}, ${moment(recording.made_at)}, ${same}`;
}
