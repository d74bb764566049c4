"""axe-core on every view and every figure, wide and narrow, light and dark; what can be done is reached by keyboard."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

VIEWS = {
    "sweeps": ("Sweeps", 0),
    "new": ("New sweep", 0),
    "workers": ("Workers", 0),
    "failed": ("Trial 0", 4),
    "broken": ("Trial 1", 4),
    "best": ("Trial 27", 4),
}
REACHED = "a[href], button:enabled, input, select, textarea, summary, [tabindex='0']"


@pytest.fixture
def findings(axe: str) -> Callable[..., list[str]]:
    """What axe-core finds serious or critical on a page or in a part of it, and where."""

    def look(page: Page, part: str = "html") -> list[str]:
        page.evaluate(f"if (!globalThis.axe) {{ {axe} }}")
        result = page.evaluate("(part) => axe.run(part, {resultTypes: ['violations']})", part)
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in result["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    return look


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_nothing_serious(
    prepared: Any, open_page: Callable[..., Page], findings: Callable[..., list[str]], width: int, scheme: str
) -> None:
    """One page goes from view to view as people do: Plotly, a second to parse, is loaded once."""
    page = open_page(prepared.address("sweep"), width=width, scheme=scheme)
    figures = page.get_by_role("region", name="Figures")
    found = {}
    for tab in page.get_by_role("tab").all():
        tab.click()
        expect(figures.locator(".main-svg").first).to_be_visible()
        found[f"sweep, {tab.inner_text()}"] = findings(page, "[aria-label=Figures]")
    found["sweep"] = findings(page)
    for view, (heading, n_plots) in VIEWS.items():
        page.goto(prepared.address(view))
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.locator(".js-plotly-plot")).to_have_count(n_plots)
        found[view] = findings(page)
    page.goto(prepared.address("running"))
    page.get_by_role("button", name="Cancel …").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["a question"] = findings(page)
    assert {view: wrong for view, wrong in found.items() if wrong} == {}


def test_axe_does_find_what_is_wrong(
    prepared: Any, open_page: Callable[..., Page], findings: Callable[..., list[str]]
) -> None:
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


@pytest.mark.parametrize("view", ["sweeps", "new", "workers", "sweep", "failed", "running"])
def test_everything_that_can_be_done_is_reached_by_keyboard_and_seen(
    prepared: Any, open_page: Callable[..., Page], view: str
) -> None:
    """By what they are in the document: a view that lives is drawn anew meanwhile."""
    page = open_page(prepared.address(view))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.evaluate(
        "(reached) => { globalThis.seen = new Set();"
        " globalThis.missed = () => [...document.querySelectorAll(reached)]"
        ".filter((one) => one.checkVisibility() && one.tabIndex >= 0 && !seen.has(one.outerHTML))"
        ".map((one) => one.outerHTML); }",
        REACHED,
    )
    dim = []
    for _ in range(len(page.evaluate("missed()")) + 2):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "() => { const one = document.activeElement; seen.add(one.outerHTML);"
            " return one === document.body ? 'solid' : getComputedStyle(one).outlineStyle; }"
        )
        dim.extend([page.evaluate("document.activeElement.outerHTML")] * (outline != "solid"))
    assert (dim, page.evaluate("missed()")) == ([], [])


def test_a_question_keeps_the_focus_and_gives_it_back(prepared: Any, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("running"))
    page.get_by_role("button", name="Cancel …").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.evaluate("() => { const head = document.querySelector('.head'); head.replaceWith(head.cloneNode(true)); }")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel …")).to_be_focused()


def test_nothing_moves_for_those_who_want_it_still(prepared: Any, open_page: Callable[..., Page]) -> None:
    page = open_page(prepared.address("sweeps"))
    page.emulate_media(reduced_motion="reduce")
    expect(page.get_by_role("progressbar")).to_be_visible()
    moving = "[...document.querySelectorAll('*')].filter((one) => { const style = getComputedStyle(one);"
    moving += " return style.animationName !== 'none' || style.transitionDuration !== '0s'; }).length"
    assert page.evaluate(moving) == 0
