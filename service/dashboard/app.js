// Which view is shown: an address after the # is a view and its parameters. A view lives until the address changes.
import { get, remove } from "./api.js";
import { element, fill } from "./dom.js";
import { compareView } from "./compare_view.js";
import { newView } from "./new_view.js";
import { sweepView } from "./sweep_view.js";
import { sweepsView } from "./sweeps_view.js";
import { trialView } from "./trial_view.js";
import { workersView } from "./workers_view.js";

const ROUTES = [
  [/^\/?$/, sweepsView, "Sweeps"],
  [/^\/new$/, newView, "New sweep"],
  [/^\/workers$/, workersView, "Workers"],
  [/^\/sweeps\/([^/]+)$/, sweepView, "Sweep"],
  [/^\/compare$/, compareView, "Trials side by side"],
  [/^\/trials\/([^/]+)$/, trialView, "Trial"],
];
const view = document.getElementById("view");
let ending = new AbortController();
let isFirst = true;

function show() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  ending.abort();
  ending = new AbortController();
  const { signal } = ending;
  const found = ROUTES.find(([pattern]) => pattern.test(path));
  mark(path);
  if (!found) {
    document.title = "Not here · gradsweep";
    fill(view, element("h1", {}, "There is no such view"), element("p", {}, element("a", { href: "#/" }, "All sweeps")));
    return;
  }
  const [pattern, mount, title] = found;
  document.title = `${title} · gradsweep`;
  fill(view, element("p", { class: "soft", "aria-busy": "true" }, "Loading …"));
  const parameters = { id: decodeURIComponent(path.match(pattern)[1] ?? ""), search: new URLSearchParams(search) };
  mount(view, parameters, signal).catch((error) => {
    if (signal.aborted) return;
    fill(view, trouble(error, show));
    if (!error.status && error.name !== "Error") console.error(error);
  });
  if (!isFirst) {
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  isFirst = false;
}

function mark(path) {
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.hash === `#${path}` || (link.hash === "#/" && /^(\/?|\/((sweeps|trials)\/.*|compare))$/.test(path));
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function trouble(error, again) {
  return element("section", { class: "card nothing", role: "alert" },
    element("h1", {}, error.status === 404 ? "It is not here" : "That did not work"),
    element("p", { class: "soft" }, error.message),
    element("div", { class: "row" },
      element("button", { class: "primary", onclick: again }, "Try again"),
      element("a", { class: "button", href: "#/" }, "All sweeps")));
}

/** Whoever is logged in can log out. */
async function offerLeaving() {
  const leave = document.getElementById("leave");
  const session = await get("/v1/session").catch(() => null);
  leave.hidden = !(session?.is_token_needed && session.is_logged_in);
  leave.onclick = async () => {
    await remove("/v1/session");
    location.reload();
  };
}

addEventListener("session", offerLeaving);
offerLeaving();
addEventListener("hashchange", (event) => {
  if (new URL(event.newURL).hash !== "#view") show(); // the skip link is no view
});
show();
