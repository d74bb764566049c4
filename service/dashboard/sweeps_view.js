// All sweeps: how far, how good, and how their gradients fared.
import { at, get, query } from "./api.js";
import { element, fill, repeat } from "./dom.js";
import { bar, inWords } from "./progress.js";
import { VERDICTS, duration, metric, number, sign, since, word } from "./words.js";

const PAGE = 25;
const LIVE = ["queued", "running", "stopping"];

/** Show the list, and keep it true. */
export async function sweepsView(view, _parameters, signal) {
  let size = PAGE;
  const body = element("tbody");
  const table = element("table", { class: "sweeps cards" },
    element("caption", { class: "unseen" }, "Sweeps, the newest first"),
    element("thead", {}, element("tr", {}, ["Sweep", "State", "Progress", "Best", "Gradients"].map((name) => element("th", { scope: "col" }, name)))),
    body);
  const more = element("button", { onclick: () => { size = Math.min(size + PAGE, 500); look(); } }, "Show more");
  const place = element("div");
  const lost = element("p", { class: "notice wrong", role: "alert", hidden: true });

  async function look() {
    let found;
    try {
      found = await get(`/v1/sweeps${query({ page_size: size })}`, signal);
      lost.hidden = true;
    } catch (error) {
      if (!body.childElementCount || signal.aborted) throw error;
      lost.textContent = error.message;
      lost.hidden = false;
      return 5000;
    }
    if (!found.sweeps.length) {
      fill(place, nothing());
      return 3000;
    }
    fill(body, found.sweeps.map(row));
    fill(place, element("section", { class: "card" }, table), found.next_page_token && size < 500
      ? element("p", { class: "row", style: "margin-top: 16px; justify-content: center" }, more) : null);
    return found.sweeps.some((sweep) => LIVE.includes(sweep.state)) ? 2000 : 8000;
  }

  const first = await look();
  fill(view, element("div", { class: "head" }, element("h1", {}, "Sweeps"),
    element("a", { class: "button primary", href: "#/new" }, "New sweep")), lost, place);
  await repeat(async () => look(), signal, first).catch((error) => { if (!signal.aborted) throw error; });
}

function row(sweep) {
  const verdicts = VERDICTS.filter((verdict) => sweep.verdicts[verdict] > 0);
  const age = sweep.ended_at ? `${duration(since(sweep.ended_at))} ago` : `started ${duration(since(sweep.started_at ?? sweep.created_at))} ago`;
  return element("tr", {},
    element("th", { scope: "row" },
      element("a", { class: "name", href: at`#/sweeps/${sweep.id}` }, sweep.name),
      element("div", { class: "soft small" }, `${word(sweep.method)} on ${sweep.dataset} · ${age}`)),
    element("td", {}, sign(sweep.state, undefined, sweep.state === "running" ? "pulseless" : ""),
      sweep.waiting_for && sweep.waiting_for !== "paused" ? element("div", { class: "soft small" }, `waits: ${word(sweep.waiting_for)}`) : null),
    element("td", { class: "advance" }, bar(sweep), element("div", { class: "soft small" }, inWords(sweep))),
    element("td", {}, sweep.best
      ? [element("a", { class: "best", href: at`#/trials/${sweep.best.trial_id}` }, metric(sweep.metric.name, sweep.best.objective)),
        element("div", { class: "soft small" }, `${word(sweep.metric.name)}, trial ${sweep.best.number}`)]
      : element("span", { class: "soft" }, "none yet")),
    element("td", {}, verdicts.length
      ? element("div", { class: "verdicts" }, verdicts.map((verdict) => sign(verdict, `${number(sweep.verdicts[verdict])} ${word(verdict)}`)))
      : element("span", { class: "soft" }, "not judged yet")));
}

function nothing() {
  return element("section", { class: "card nothing" },
    element("h2", {}, "No sweep yet"),
    element("p", { class: "soft" }, "Write one here, or submit a file from a terminal:"),
    element("pre", {}, "gradsweep init\ngradsweep submit sweep.yaml --watch"),
    element("a", { class: "button primary", href: "#/new" }, "Write a sweep"));
}
