"""The page in Chromium: first paint, a sweep of 10,000 trials until it answers, 1,000 sweeps, every tab.

The times are the browser's own, from the beginning of the navigation (first paint, lists, a sweep) or from the click
(tabs, a trial). A cold server has just been started and answers its first request; the browser's cache is always
empty, except for tabs, which are switched on one page.
"""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks._record import fill
from gradsweep.cli.household import command, free_port
from service.database import migrate
from service.database.engine import Database
from service.settings import ServiceSettings

N_TRIALS = 10_000
N_SWEEPS = 1_000
REPEATS = 5
TARGETS_MS = {"first paint": 1_000, "sweep answers": 2_000}
CHROMIUM = "/usr/bin/chromium"
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PATIENCE_MS = 60_000
# Marks the moments at which what is waited for has been painted, and whether the page answers a click then.
WATCH = """
const marks = {};
const seen = {
  list: () => document.querySelector("table.sweeps tbody tr"),
  table: () => document.querySelector("table.trials tbody a"),
  figure: () => document.querySelector(".js-plotly-plot .main-svg .trace"),
};
function painted(name) {
  marks[name] = null;
  requestAnimationFrame(() => setTimeout(() => { marks[name] = performance.now(); settle(); }));
}
function look() {
  for (const [name, there] of Object.entries(seen)) if (!(name in marks) && there()) painted(name);
  const heading = document.querySelector("h1")?.textContent ?? "";
  if (marks.clicked && !("answered" in marks) && heading.startsWith("Trial ")) painted("answered");
}
function settle() {
  if (!globalThis.clicksTrial || !marks.table || !marks.figure || marks.clicked) return;
  marks.clicked = performance.now();
  seen.table().click();
}
globalThis.marks = marks;
new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""
SWITCH = """
(id) => new Promise((resolve) => {
  const began = performance.now();
  const panel = document.getElementById("figure");
  const watch = new MutationObserver(() => {
    if (!panel.querySelector(".js-plotly-plot .main-svg .trace, .js-plotly-plot .main-svg .contour")) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  });
  watch.observe(panel, { childList: true, subtree: true });
  document.getElementById(id).click();
})
"""


def run(trials: int | None = None) -> dict[str, Any]:
    """Milliseconds, median and largest of the repeats; with `trials` a smaller record, to see that all of it works."""
    n_trials, n_sweeps = trials or N_TRIALS, min(trials or N_SWEEPS, N_SWEEPS)
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder, sync_playwright() as playwright:
        sweep_id = _prepare(Path(folder), n_trials, n_sweeps)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        cold = [_visit_cold(browser, Path(folder), sweep_id) for _ in range(REPEATS)]
        with _service(Path(folder)) as url:
            _visit_all(browser, url, sweep_id)
            warm = [_visit_all(browser, url, sweep_id) for _ in range(REPEATS)]
            tabs = _tabs(browser, f"{url}/#/sweeps/{sweep_id}")
        browser.close()
    return {
        "n_trials": n_trials,
        "n_sweeps": n_sweeps,
        "targets_ms": TARGETS_MS,
        "cold_server_ms": _summary(cold),
        "warm_server_ms": _summary(warm),
        "tabs_ms": tabs,
    }


def _prepare(folder: Path, n_trials: int, n_sweeps: int) -> str:
    settings = ServiceSettings(data_dir=folder)
    migrate.upgrade(settings.url)
    database = Database(settings.url, pool_size=2)
    sweep_id = fill(database, n_trials=n_trials, n_sweeps=n_sweeps - 1, trials_each=6)
    database.dispose()
    return sweep_id


def _visit_cold(browser: Browser, folder: Path, sweep_id: str) -> dict[str, float]:
    """The first request of a server that was just started, of each kind; so a server for each."""
    with _service(folder) as url:
        first = _visit_list(browser, url)
    with _service(folder) as url:
        return {**first, **_visit_sweep(browser, url, sweep_id)}


def _visit_all(browser: Browser, url: str, sweep_id: str) -> dict[str, float]:
    return {**_visit_list(browser, url), **_visit_sweep(browser, url, sweep_id)}


def _visit_list(browser: Browser, url: str) -> dict[str, float]:
    with _page(browser, url, "") as (page, until):
        marks = until("list")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return {"first paint": paint, "list of sweeps": marks["list"]}


def _visit_sweep(browser: Browser, url: str, sweep_id: str) -> dict[str, float]:
    with _page(browser, f"{url}/#/sweeps/{sweep_id}", "globalThis.clicksTrial = true;") as (_, until):
        marks = until("answered")
    return {
        "sweep: table": marks["table"],
        "sweep: first figure": marks["figure"],
        "click on a trial": marks["answered"] - marks["clicked"],
        "sweep answers": marks["answered"],
    }


@contextmanager
def _page(browser: Browser, address: str, first: str) -> Iterator[tuple[Page, Callable[[str], dict[str, float]]]]:
    """A page with an empty cache, and what waits for one of its marks."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(first + WATCH)
        page.goto(address)

        def until(name: str) -> dict[str, float]:
            deadline = time.monotonic() + PATIENCE_MS / 1000
            while not page.evaluate(f"marks.{name}"):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{address}: no {name} within {PATIENCE_MS} ms; {page.evaluate('marks')}")
                page.wait_for_timeout(20)
            marks: dict[str, float] = page.evaluate("marks")
            return marks

        yield page, until


def _tabs(browser: Browser, address: str) -> dict[str, Any]:
    """From the click on a tab to its figure; the first time, when the service may have to weigh, apart."""
    with _page(browser, address, "") as (page, until):
        until("figure")
        ids = page.evaluate("[...document.querySelectorAll('[role=tab]')].map((tab) => tab.id)")
        rounds = [{name: page.evaluate(SWITCH, name) for name in ids} for _ in range(REPEATS + 1)]
    later = _summary(rounds[1:])
    return {name.removeprefix("tab-"): {"first": round(rounds[0][name]), **later[name]} for name in ids}


def _summary(rounds: list[dict[str, float]]) -> dict[str, dict[str, int]]:
    found = {name: [each[name] for each in rounds] for name in rounds[0]}
    return {
        name: {"median": round(statistics.median(values)), "largest": round(max(values))}
        for name, values in found.items()
    }


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    """A service process that is ready and has answered nothing but that."""
    port = free_port()
    process = subprocess.Popen(
        command("serve", "--port", str(port), "--data-dir", str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    with httpx.Client(trust_env=False) as http:
        while process.poll() is None:
            try:
                if http.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the service ended with {process.returncode} before it was ready")
