"""Every view on a record that holds every state, with hostile words wherever somebody can write some."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

HOSTILE = '<img src=x onerror="window.broken = true"><b>bold</b>'
Prepared = Any  # the fixture's service: its url, sweep, trials, and the address of each view


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
@pytest.mark.parametrize(
    ("view", "heading", "n_plots"),
    [
        ("sweeps", "Sweeps", 0),
        ("new", "New sweep", 0),
        ("workers", "Workers", 0),
        ("sweep", HOSTILE, 1),
        ("failed", "Trial 0", 4),
    ],
    ids=["sweeps", "new", "workers", "sweep", "failed"],
)
def test_every_view_fits_and_shows_text_as_text(
    prepared: Prepared, open_page: Callable[..., Page], view: str, heading: str, n_plots: int, width: int, scheme: str
) -> None:
    page = open_page(prepared.address(view), width=width, scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator(".js-plotly-plot")).to_have_count(n_plots)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.broken") is None
    assert page.locator("main img, main b").count() == 0


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(250, 249, 246)"), ("dark", "rgb(18, 20, 25)")])
def test_follows_the_theme_of_the_system(
    prepared: Prepared, open_page: Callable[..., Page], scheme: str, paper: str
) -> None:
    page = open_page(prepared.address("workers"), scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper


def test_a_failed_trial_tells_why(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("failed"))
    expect(page.get_by_role("region", name="Results")).to_contain_text(HOSTILE)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_value_that_is_not_finite_is_crossed(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("broken"))
    expect(page.get_by_role("img", name="Gradient flow")).to_contain_text("not finite")
    expect(page.locator(".chip", has_text="not finite")).to_be_visible()


def test_tabs_draw_every_figure_and_follow_the_arrows(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("sweep"))
    shown = page.get_by_role("tabpanel").locator(".plot")
    expect(shown).to_have_attribute("aria-label", "History: val_accuracy of each trial")
    page.get_by_role("tab", name="History").focus()
    kinds = httpx.get(f"{prepared.url}/v1/figures", trust_env=False).json()["of_sweeps"]
    seen = set()
    for _ in kinds:
        page.keyboard.press("ArrowRight")
        expect(page.locator("[role=tab]:focus")).to_have_attribute("aria-selected", "true")
        seen.add(page.locator("[role=tab]:focus").get_attribute("id").removeprefix("tab-"))
        expect(shown.locator("svg.main-svg").first).to_be_visible()
        assert "could not be drawn" not in page.get_by_role("tabpanel").inner_text()
    assert seen == set(kinds)
    page.get_by_role("tab", name="Stability map").click()
    page.get_by_label("Up").select_option("normalization")
    expect(shown).to_have_attribute("aria-label", "Stability over learning_rate and normalization")


def test_trials_are_filtered_ordered_and_paged_by_the_service(
    prepared: Prepared, open_page: Callable[..., Page]
) -> None:
    page = open_page(prepared.address("sweep"), refusal="400")
    rows = page.get_by_role("region", name="Trials").locator("tbody tr")
    expect(rows).to_have_count(20)
    page.get_by_role("button", name="Later").click()
    expect(rows).to_have_count(8)
    page.get_by_role("button", name="val accuracy").click()
    expect(rows.first).to_contain_text("0.6400")
    page.get_by_label("Filter").fill("number < 5 AND")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="filter")).to_be_visible()
    page.get_by_label("Filter").fill("number < 5")
    page.get_by_label("state").select_option("completed")
    expect(rows).to_have_count(2)


def test_a_wrong_file_is_told_by_pointer_and_cannot_be_submitted(
    prepared: Prepared, open_page: Callable[..., Page]
) -> None:
    page = open_page(prepared.address("new"), refusal="422")
    expect(page.get_by_text("This can run")).to_be_visible()
    page.get_by_label("Sweep file").fill("name: a\ndataset: digits\nparameters: {learning_rte: 1}\n")
    problem = page.get_by_role("button", name="/parameters/learning_rte")
    problem.click()
    assert page.evaluate("document.getSelection().toString()") == "learning_rte"
    expect(page.get_by_role("button", name="Submit the sweep")).to_be_disabled()


def test_nothing_is_cancelled_without_being_asked_twice(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("running"))
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    trial = prepared.trials["running"]["trial_id"]
    assert not httpx.get(f"{prepared.url}/v1/trials/{trial}", trust_env=False).json()["stop_requested"]


def test_a_service_with_a_token_asks_for_it(
    serve: Any, open_page: Callable[..., Page], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("secret") / "token"
    file.write_text("a-secret-of-sixteen-letters")
    with serve(GRADSWEEP_TOKEN_FILE=str(file)) as service:
        page = open_page(service.url, refusal="401")
        page.get_by_role("textbox", name="Token").fill("not-the-secret-at-all")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert").filter(has_text="That is not the token")).to_be_visible()
        page.get_by_role("textbox", name="Token").fill("a-secret-of-sixteen-letters")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No sweep yet")).to_be_visible()
        assert page.evaluate("document.cookie + JSON.stringify({...sessionStorage, ...localStorage})") == "{}"
        page.reload()
        expect(page.get_by_role("heading", name="No sweep yet")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("textbox", name="Token")).to_be_visible()


def test_a_trial_and_whole_tables_can_be_taken_along(prepared: Prepared, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("best"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=prepared.url)
    page.get_by_role("button", name="Copy as Keras script").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "HIDDEN_UNITS = [16, 16, 16, 16]" in page.evaluate("navigator.clipboard.readText()")
    page.goto(prepared.address("sweep"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download epochs as csv").click()
    assert download.value.path().read_text().startswith("trial_number,trial_id,attempt,epoch,")
