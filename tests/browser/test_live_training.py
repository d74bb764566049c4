"""From an empty page to the best trial's gradients, with a real worker that really trains."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

SWEEP = """
name: clicked
dataset: digits
method: random
run_cap: 2
seed: 4
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.003, max: 0.03}
  hidden_units: {value: [16, 16, 16]}
  epochs: 2
"""


def test_submit_live_progress_best_trial(
    serve: Any, open_page: Callable[..., Page], eventually: Callable[..., Any]
) -> None:
    with serve() as service:
        service.start_worker()
        page = open_page(service.url)
        expect(page.get_by_role("heading", name="No sweep yet")).to_be_visible()
        page.get_by_role("link", name="Write a sweep").click()
        page.get_by_label("Sweep file").fill(SWEEP)
        expect(page.get_by_text("This can run")).to_be_visible()
        page.get_by_role("button", name="Submit the sweep").click()

        expect(page.get_by_role("heading", name="clicked")).to_be_visible()
        progress = page.get_by_role("progressbar")
        seen: list[str | None] = []

        def all_done() -> bool:
            seen.append(progress.get_attribute("aria-valuenow"))
            return seen[-1] == "2"

        eventually(all_done, what="both trials are done")
        assert seen[0] == "0"  # the page was never loaded again: what changed came by the stream
        expect(page.locator(".chip", has_text="completed")).to_be_visible()
        best = page.get_by_role("region", name="Best configuration")
        assert float(best.locator(".value").inner_text()) > 0.5

        best.get_by_role("link", name="trial").click()
        expect(page.locator(".js-plotly-plot")).to_have_count(4)
        expect(page.get_by_role("img", name="Gradient flow")).to_contain_text("1 · 16 units")
        expect(page.get_by_role("img", name="Gradient over depth")).to_contain_text("theory")
        expect(page.get_by_role("region", name="What its gradients did")).to_contain_text("stable")
