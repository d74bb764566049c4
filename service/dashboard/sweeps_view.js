// All sweeps: how far, how good, and how their gradients fared.
import { at, get, query } from "./api.js";
import { element, fill, renew, repeat } from "./dom.js";
import { filterBar, pager } from "./paging.js";
import { bar as progressBar, inWords } from "./progress.js";
import { VERDICTS, duration, metric, number, sign, since, word } from "./words.js";

const PAGE = 25;
const STATES = ["queued", "running", "paused", "stopping", "completed", "cancelled"];
const LIVE = ["queued", "running", "stopping"];

/** Show the list a page at a time, and keep it true. */
export async function sweepsView(view, _parameters, signal) {
  const bell = new EventTarget();
  const ring = () => bell.dispatchEvent(new Event("ring"));
  const bar = filterBar({ placeholder: "dataset = digits AND method = tpe", only: { state: STATES }, onChange: () => { pages.restart(); ring(); } });
  const pages = pager(ring);
  const body = element("tbody");
  const turning = element("div", { class: "row" }, pages.buttons);
  const card = element("section", { class: "card" }, bar.whole,
    element("table", { class: "sweeps cards" },
      element("caption", { class: "unseen" }, "Sweeps, the newest first"),
      element("thead", {}, element("tr", {}, ["Sweep", "State", "Progress", "Best", "Gradients"].map((name) => element("th", { scope: "col" }, name)))),
      body), turning);
  const place = element("div");
  const lost = element("p", { class: "notice wrong", role: "alert", hidden: true });
  let isShown = false;

  async function look() {
    const filter = bar.words();
    let found;
    try {
      found = await get(`/v1/sweeps${query({ filter, page_size: PAGE, page_token: pages.token() })}`, signal);
      lost.hidden = true;
    } catch (error) {
      if (!isShown || signal.aborted) throw error;
      lost.textContent = error.message;
      lost.hidden = false;
      return 5000;
    }
    isShown = true;
    if (!found.sweeps.length && !filter && pages.isFirst()) {
      fill(place, nothing());
      return 3000;
    }
    renew(body, found.sweeps.length ? found.sweeps.map(row) : element("tr", {}, element("td", { colspan: 5, class: "soft" }, "No sweep is like that; loosen the filter.")));
    pages.took(found.next_page_token);
    const isOnePage = pages.isFirst() && !found.next_page_token;
    turning.hidden = isOnePage;
    bar.whole.hidden = isOnePage && !filter;
    if (card.parentElement !== place) fill(place, card);
    return found.sweeps.some((sweep) => LIVE.includes(sweep.state)) ? 2000 : 8000;
  }

  await look();
  fill(view, element("div", { class: "head" }, element("h1", {}, "Sweeps"),
    element("a", { class: "button primary", href: "#/new" }, "New sweep")), lost, place);
  await repeat(look, signal, 8000, bell).catch((error) => { if (!signal.aborted) throw error; });
}

function row(sweep) {
  const verdicts = VERDICTS.filter((verdict) => sweep.verdicts[verdict] > 0);
  const age = sweep.ended_at ? `${duration(since(sweep.ended_at))} ago` : sweep.started_at ? `started ${duration(since(sweep.started_at))} ago` : `submitted ${duration(since(sweep.created_at))} ago`;
  return element("tr", {},
    element("th", { scope: "row" },
      element("a", { class: "name", href: at`#/sweeps/${sweep.id}` }, sweep.name),
      element("div", { class: "soft small" }, `${word(sweep.method)} on ${sweep.dataset} · ${age}`)),
    element("td", {}, sign(sweep.state, undefined, sweep.state === "running" ? "pulseless" : ""),
      sweep.waiting_for && sweep.waiting_for !== "paused" ? element("div", { class: "soft small" }, `waits: ${word(sweep.waiting_for)}`) : null),
    element("td", { class: "advance" }, progressBar(sweep), element("div", { class: "soft small" }, inWords(sweep))),
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
