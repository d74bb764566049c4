"""The form for a new sweep and the file beside it: each is a view of the other, and both are judged by the service."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from service.domain.catalogue import CATALOGUE
from service.domain.sweep_document import read_sweep_document
from service.domain.sweep_file import read_sweep_file
from service.errors import InvalidSweep

FILE = """# kept
name: typed   # kept too
dataset: digits
run_cap: 20
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1.0}
  optimizer:
    - sgd
  hidden_units: {value: [64, 32]}
"""


@pytest.fixture
def open_form(prepared: Any, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens the view; with a text, the file holds that."""

    def open_one(text: str | None = None, **options: Any) -> Page:
        page = open_page(prepared.address("new"), refusal="422", **options)
        expect(page.get_by_text("This can run")).to_be_visible()
        for each in [text] * (text is not None):
            page.get_by_label("Sweep file").fill(each)
        return page

    return open_one


def file_of(page: Page) -> str:
    return page.get_by_label("Sweep file").input_value()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=name, exact=True)


def test_what_is_filled_in_is_written_into_the_file_and_nothing_else_is_touched(open_form: Any) -> None:
    page = open_form(FILE.replace("    - sgd\n", "    values: [sgd]\n"))
    page.get_by_label("Trials at most").fill("30")
    page.get_by_label("learning rate: smallest").fill("1e-5")
    page.get_by_label("learning rate: scale").select_option("linear")
    row(page, "optimizer").get_by_role("checkbox", name="adam", exact=True).check()
    page.get_by_label("hidden units: value").fill("16-8")
    page.get_by_label("dropout: how", exact=True).select_option("range")
    page.get_by_label("dropout: largest", exact=True).fill("0.3")
    page.get_by_label("Early termination").select_option("hyperband")
    page.get_by_label("Which epoch").select_option("best")
    page.get_by_role("button", name="Add a constraint").click()
    page.get_by_label("Name").fill("")
    assert file_of(page) == (
        "# kept\n"
        "dataset: digits\n"
        "run_cap: 30\n"
        "parameters:\n"
        "  learning_rate: {distribution: uniform, min: 1e-5, max: 1.0}\n"
        "  optimizer:\n"
        "    values: [sgd, adam]\n"
        "  hidden_units: {value: [16, 8]}\n"
        "  dropout: {distribution: uniform, min: 0.0, max: 0.3}\n"
        "early_terminate: {type: hyperband}\n"
        "metric: {at: best}\n"
        'constraints: {stability: ">= 0.5"}\n'
    )
    expect(page.get_by_role("button", name="Submit the sweep")).to_be_enabled()


def test_what_is_written_in_the_file_is_shown_in_the_form(open_form: Any) -> None:
    parameters = {
        "depth": {"min": 2, "max": 5},
        "width": 8,
        "residual": {"values": [True, False]},
        "momentum": {"values": [0.5], "probabilities": [1]},
    }
    page = open_form(json.dumps({"method": "random", "run_cap": 3, "parameters": parameters}))
    expect(page.get_by_label("Method")).to_have_value("random")
    expect(page.get_by_label("depth: largest")).to_have_value("5")
    expect(page.get_by_label("width: value")).to_have_value("8")
    expect(row(page, "residual").get_by_role("checkbox", name="false")).to_be_checked()
    expect(row(page, "momentum")).to_contain_text('"probabilities":[1]')
    expect(page.get_by_label("optimizer: how")).to_have_value("left")
    page.get_by_label("width: value").fill("16")
    assert json.loads(file_of(page))["parameters"]["width"] == 16


@pytest.mark.parametrize(
    ("label", "given", "words"),
    [
        ("Trials at most", "0", "0 is no whole number from 1 to 1000000"),
        ("Data set", "../secret", "is no data set"),
        ("learning rate: smallest", "2", "the bounds cross"),
        ("hidden units: value", "64-0", "0 is no layer width"),
        ("Stop at", "7", "is never reached"),
        ("Name", "<b>bold</b>", "is no name"),
    ],
)
def test_an_error_stands_at_its_field_and_is_told_with_it(open_form: Any, label: str, given: str, words: str) -> None:
    page = open_form(FILE.replace("    - sgd\n", "    values: [sgd, adam]\n"))
    field = page.get_by_label(label, exact=True)
    before = field.input_value()
    field.fill(given)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(_containing(words))
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    expect(page.get_by_role("button", name="Submit the sweep")).to_be_disabled()
    field.fill(before)
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    expect(page.get_by_role("button", name="Submit the sweep")).to_be_enabled()


def test_the_form_waits_while_the_file_cannot_be_followed(open_form: Any) -> None:
    page = open_form(FILE.replace("name: typed", "name: &anchor typed"))
    expect(page.get_by_text("The form cannot follow the file: line 2")).to_be_visible()
    expect(page.get_by_label("Data set")).to_be_disabled()
    page.get_by_label("Sweep file").fill(FILE.replace("typed", "mended"))
    expect(page.get_by_label("Name")).to_have_value("mended")


def test_whoever_chooses_by_keyboard_stays_where_they_were(open_form: Any) -> None:
    page = open_form()
    method = page.get_by_label("Method")
    method.focus()
    page.keyboard.press("ArrowDown")
    expect(method).to_have_value("random")
    expect(method).to_be_focused()
    how = page.get_by_label("activation: how")
    how.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("activation: value")).to_have_value("relu")
    expect(how).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("activation: value")).to_be_focused()


def test_what_the_form_begins_with_is_right_for_every_parameter_and_way(open_form: Any) -> None:
    page = open_form("run_cap: 9\nparameters:\n")
    texts = page.evaluate(
        """() => [...document.querySelectorAll("select[aria-label$=': how']")].flatMap(({ ariaLabel, options }) =>
          [...options].map(({ value }) => {
            const turn = (way) => {
              const how = document.querySelector(`select[aria-label='${ariaLabel}']`);
              how.value = way;
              how.dispatchEvent(new Event("change"));
            };
            turn(value);
            const { value: text } = document.getElementById("file");
            turn("left");
            return text;
          }))"""
    )
    assert len(texts) > 3 * len(CATALOGUE)
    wrong = [message for text in texts for message in problems(text)]
    assert [message for message in wrong if not message.endswith("it, or use hidden_units")] == []


def problems(text: str) -> list[str]:
    try:
        read_sweep_document(read_sweep_file(text, "yaml"))
    except InvalidSweep as error:
        return [f"{text}: {each.message}" for each in error.problems if each.pointer != "/parameters"]
    return []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_form_with_errors(open_form: Any, axe: str, scheme: str) -> None:
    page = open_form(FILE, scheme=scheme)
    expect(page.locator("[aria-invalid]").first).to_be_visible()
    page.get_by_text("More parameters").click()
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_command_that_is_shown_submits_this_very_file(open_form: Any, prepared: Any) -> None:
    text = FILE.replace("    - sgd\n", "    values: [sgd, adam]\n").replace("# kept\n", "END_OF_SWEEP\n")
    page = open_form(text.replace("END_OF_SWEEP\n", "# first\n#\n# END_OF_SWEEP\n", 1))
    shown = page.get_by_label("Terminal", exact=True)
    expect(shown).to_contain_text("END_OF_SWEEP_")
    script = shown.inner_text().replace("gradsweep submit - --watch", f"{sys.executable} -m gradsweep.cli submit -")
    subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True)
    assert httpx.get(f"{prepared.url}/v1/sweeps/typed/file", trust_env=False).text == file_of(page)


def test_a_submission_by_form_makes_the_sweep(open_form: Any, prepared: Any) -> None:
    page = open_form(width=400)
    page.get_by_label("Name").fill("by form")
    page.get_by_label("Seed").fill("5")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.get_by_role("button", name="Submit the sweep").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("by form")
    assert httpx.get(f"{prepared.url}/v1/sweeps/by%20form", trust_env=False).json()["resolved"]["seed"] == 5


def _containing(words: str) -> Any:
    return re.compile(re.escape(words))
