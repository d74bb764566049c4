"""What the API lets one do with sweeps and trials, the page does: what cannot be taken back only when asked twice."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

AXE_SERIOUS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => one.id)"""


@pytest.fixture
def open_view(prepared: Any, open_page: Callable[..., Page]) -> Callable[..., Page]:
    def open_one(view: str, **options: Any) -> Page:
        page = open_page(prepared.address(view), **options)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page

    return open_one


def test_trials_that_were_chosen_are_shown_side_by_side(open_view: Any, prepared: Any) -> None:
    page = open_view("sweep")
    for number in (3, 4):
        page.get_by_label(f"Compare trial {number}", exact=True).check()
    page.get_by_role("button", name="Later").click()
    page.get_by_label("Compare trial 20", exact=True).check()
    page.get_by_role("button", name="Earlier").click()
    expect(page.get_by_label("Compare trial 3", exact=True)).to_be_checked()
    page.get_by_role("link", name="Compare 3 trials").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 trials side by side")
    rows = page.get_by_role("region", name="What sets them apart").locator("tbody tr")
    assert [row.get_by_role("link").inner_text() for row in rows.all()] == ["#3", "#4", "#20"]
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    expect(page.get_by_role("img", name="Gradient flow of 3 trials on one scale")).to_contain_text("trial 20")
    page.get_by_label("Trials are one group with equal").select_option("normalization")
    expect(page.get_by_role("img", name="Learning curves")).to_contain_text("normalization none (2 trials)")
    assert "could not be drawn" not in page.locator("main").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_side_by_side_fits_and_axe_finds_nothing_serious(
    open_page: Any, prepared: Any, axe: str, width: int, scheme: str
) -> None:
    trials = "&".join(f"trial={prepared.trials[name]['trial_id']}" for name in ("best", "failed", "broken"))
    page = open_page(f"{prepared.url}/#/compare?{trials}", width=width, scheme=scheme)
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(axe)
    assert page.evaluate(AXE_SERIOUS) == []


def test_a_comparison_of_nothing_says_where_to_choose(open_page: Any, prepared: Any) -> None:
    page = open_page(f"{prepared.url}/#/compare")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing to compare")


def test_whoever_sorts_by_keyboard_stays_there(open_view: Any) -> None:
    page = open_view("sweep")
    head = page.get_by_role("region", name="Trials").get_by_role("button", name="Stability")
    head.focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort]")).to_have_text("Stability ↑")
    expect(head).to_be_focused()


def test_a_sweep_is_steered_to_its_end(fresh: Any, open_page: Any) -> None:
    page = open_page(fresh.address("sweep"))
    state = page.locator(".head .chip")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_contain_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(state).to_contain_text("running")
    page.get_by_role("button", name="Try 1 failed trial again").click()
    expect(page.locator(".tally")).to_contain_text("1 waiting")
    expect(page.get_by_role("button", name="failed trial")).to_have_count(0)

    page.get_by_role("button", name="Stop …").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    expect(state).to_contain_text("stopping")
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the sweep").click()
    stop_what_runs(fresh)
    expect(state).to_contain_text("cancelled")

    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name="No sweep yet")).to_be_visible()


def test_a_completed_sweep_opens_again_and_the_page_follows_it(fresh: Any, open_page: Any) -> None:
    httpx.post(f"{fresh.url}/v1/sweeps/{fresh.sweep}:stop", trust_env=False).raise_for_status()
    stop_what_runs(fresh)
    page = open_page(fresh.address("sweep"))
    state = page.locator(".head .chip")
    expect(state).to_contain_text("completed")
    page.get_by_role("button", name="Try 1 failed trial again").click()
    expect(state).to_contain_text("running")
    expect(page.locator(".head")).to_contain_text("live")
    httpx.post(f"{fresh.url}/v1/trials/{fresh.trials['failed']['trial_id']}:cancel", trust_env=False).raise_for_status()
    expect(state).to_contain_text("completed")


def test_sweeps_are_filtered_and_paged_by_the_service(fresh: Any, open_page: Any) -> None:
    sweep = {"method": "random", "dataset": "digits", "run_cap": 2, "parameters": {"learning_rate": 0.1}}
    for number in range(25):
        answer = httpx.post(f"{fresh.url}/v1/sweeps", json=sweep | {"name": f"sweep {number}"}, trust_env=False)
        answer.raise_for_status()
    page = open_page(fresh.url)
    rows = page.locator(".sweeps tbody tr")
    expect(rows).to_have_count(25)
    page.get_by_role("button", name="Later").click()
    expect(rows).to_have_count(1)
    page.get_by_label("state").select_option("running")
    expect(rows).to_have_count(1)
    page.get_by_label("state").select_option("")
    page.get_by_label("Filter").fill('name = "sweep 7"')
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows.get_by_role("link", name="sweep 7")).to_be_visible()
    page.get_by_label("Filter").fill("name = nobody")
    page.keyboard.press("Enter")
    expect(rows).to_have_text("No sweep is like that; loosen the filter.")


def stop_what_runs(prepared: Any) -> None:
    """The worker that holds the running trial says that it has stopped."""
    stopped = {"trial_id": prepared.trials["running"]["trial_id"], "attempt": 1, "final": {"kind": "stopped"}}
    path = f"{prepared.url}/v1/leases/{prepared.lease}/reports"
    httpx.post(path, json={"entries": [stopped]}, trust_env=False).raise_for_status()
