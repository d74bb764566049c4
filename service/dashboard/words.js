// How numbers, times and states are written, everywhere the same.
import { element } from "./dom.js";

const TEXT = "\ufe0e"; // keeps a sign from becoming a colored picture
const SIGNS = {
  queued: "◌", waiting: "◌", running: `▶${TEXT}`, paused: "‖", stopping: "◐", completed: `✔${TEXT}`, cancelled: "⊘",
  pruned: `✕${TEXT}`, failed: "!", stable: "●", unsteady: "◆", stalled: "▬", vanishing: "▼", exploding: "▲", dead: "■", nonfinite: `✖${TEXT}`,
};
export const VERDICTS = ["stable", "unsteady", "stalled", "vanishing", "exploding", "dead", "nonfinite"];
export const TRIAL_STATES = ["completed", "pruned", "failed", "cancelled", "running", "waiting"];

/** The word of a state, verdict or reason. */
export function word(name) {
  return name === "nonfinite" ? "not finite" : String(name).replaceAll("_", " ");
}

/** A state or verdict: a sign and a word, and a color besides. */
export function sign(name, words = word(name), extra = "") {
  return element("span", { class: `sign s-${name} ${extra}` },
    element("span", { "aria-hidden": "true" }, SIGNS[name] ?? "·"), element("span", {}, words));
}

/** A number in at most four significant digits. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(digits)));
}

/** A metric: accuracies with a fixed number of decimals, so that columns line up. */
export function metric(name, value) {
  if (value === null || value === undefined) return "–";
  return name.includes("loss") ? number(value) : value.toFixed(4);
}

/** A duration in its two largest units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  if (whole < 1) return "under 1 s";
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  const [name, size] = units[first];
  const next = units[first + 1];
  const rest = next ? Math.floor((whole % size) / next[1]) : 0;
  return `${Math.floor(whole / size)} ${name}${rest ? ` ${rest} ${next[0]}` : ""}`;
}

/** Seconds since a moment. */
export const since = (moment) => Math.max(0, (Date.now() - Date.parse(moment)) / 1000);

/** A moment, as the reader's clock has it. */
export function moment(text) {
  return text === null ? "–" : new Date(text).toLocaleString(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
}

/** A parameter's value. */
export function value(given) {
  if (given === null || given === undefined) return "–";
  if (given === true) return "yes";
  if (given === false) return "no";
  return Array.isArray(given) ? given.join("-") : number(given);
}

/** "1 trial", "2 trials". */
export const count = (n, thing) => `${number(n)} ${thing}${n === 1 ? "" : "s"}`;
