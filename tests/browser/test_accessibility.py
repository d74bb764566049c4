"""axe-core on every view, in light and in dark: nothing serious, nothing critical."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
VIEWS = {"sweeps": 0, "new": 0, "workers": 0, "sweep": 1, "failed": 4, "best": 4}


def findings(page: Page) -> list[str]:
    """What axe-core finds serious or critical, and where."""
    page.evaluate(AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in result["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(prepared: Any, open_page: Callable[..., Page], view: str, scheme: str) -> None:
    page = open_page(prepared.address(view), scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(VIEWS[view])
    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_question(prepared: Any, open_page: Callable[..., Page], scheme: str) -> None:
    page = open_page(prepared.address("running"), scheme=scheme)
    page.get_by_role("button", name="Cancel …").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert findings(page) == []


def test_axe_does_find_what_is_wrong(prepared: Any, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("workers"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate("document.body.append(document.createElement('button'))")  # no view that is drawn late removes it
    assert [each.partition(":")[0] for each in findings(page)] == ["button-name"]


def test_every_link_and_button_is_reached_by_keyboard_and_seen(prepared: Any, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("workers"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.ariaLabel"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert names[:5] == ["Skip to the content", "gradsweep", "Sweeps", "New sweep", "Workers"]


def test_nothing_moves_for_those_who_want_it_still(prepared: Any, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("sweeps"))
    page.emulate_media(reduced_motion="reduce")
    expect(page.get_by_role("progressbar")).to_be_visible()
    moving = "[...document.querySelectorAll('*')].filter((one) => { const style = getComputedStyle(one);"
    moving += " return style.animationName !== 'none' || style.transitionDuration !== '0s'; }).length"
    assert page.evaluate(moving) == 0
