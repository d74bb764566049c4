"""Reading text: YAML by the 1.2 core schema, JSON strictly, and whatever comes, an answer of the right kind."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.catalogue import CATALOGUE
from service.domain.distributions import DISTRIBUTIONS, PLANNED_DISTRIBUTIONS
from service.domain.plan import make_plan
from service.domain.sweep_file import read_sweep_file
from service.domain.sweep_keys import PLANNED_KEYS, SWEEP_KEYS, WANDB_KEYS
from service.errors import InvalidSweep, MalformedRequest, NotSupportedYet, TooLarge

REFUSED = (InvalidSweep, NotSupportedYet, MalformedRequest, TooLarge)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("+7", 7),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("null", None),
        ("none", "none"),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("2026-01-01", "2026-01-01"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|-\n  1", "1"),
        ("[1, [2, {b: c}]]", [1, [2, {"b": "c"}]]),
    ],
)
def test_yaml_scalars_are_those_of_version_1_2(text: str, value: Any) -> None:
    read = read_sweep_file(f"a: {text}\n", "yaml")["a"]
    assert (read, type(read)) == (value, type(value))


def test_json_is_read_as_json() -> None:
    document = {"a": [1, 2.5, None, True, "é"], "b": {"c": "d"}}
    assert read_sweep_file(json.dumps(document), "json") == document


def test_what_json_says_yaml_says_too() -> None:
    text = json.dumps({"parameters": {"learning_rate": {"values": [1e-5, 0.1]}}, "run_cap": 3})
    assert read_sweep_file(text, "yaml") == read_sweep_file(text, "json")


@settings(deadline=None)
@given(st.text(), st.sampled_from(["json", "yaml"]))
def test_any_text_is_read_or_refused(text: str, kind: Any) -> None:
    outcome = attempt(lambda: make_plan(read_sweep_file(text, kind)))
    assert outcome in ("planned", *(error.__name__ for error in REFUSED))


_PUNCTUATION = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "-",
    "?",
    "&a",
    "*a",
    "!!str",
    "|",
    ">",
    "'",
    "#",
    "%",
    "a",
    "1",
    ".inf",
    "---",
    "<<",
]
_BITS = st.sampled_from([*_PUNCTUATION, '"', "\n", "  ", "\t"])


@settings(deadline=None)
@given(st.lists(_BITS, max_size=40), st.sampled_from(["json", "yaml"]))
def test_any_heap_of_punctuation_is_read_or_refused(bits: list[str], kind: Any) -> None:
    outcome = attempt(lambda: make_plan(read_sweep_file("".join(bits), kind)))
    assert outcome in ("planned", *(error.__name__ for error in REFUSED))


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([*DISTRIBUTIONS, *PLANNED_DISTRIBUTIONS, "adam", "grid", "random", "qmc", "val_loss", "maximize"]),
)
_KEYS = st.sampled_from(
    ["value", "values", "min", "max", "q", "distribution", "probabilities", "parameters", "name", "goal", "at", "type"]
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=6
)
_SECTIONS = st.dictionaries(st.sampled_from([*CATALOGUE, "group", "x/y~z"]), _VALUES, max_size=4) | _VALUES
_DOCUMENTS = st.fixed_dictionaries(
    {"parameters": _SECTIONS},
    optional={key: _VALUES for key in (*SWEEP_KEYS, *WANDB_KEYS, *PLANNED_KEYS, "nonsense") if key != "parameters"},
)


@settings(deadline=None)
@given(_DOCUMENTS)
def test_any_document_is_planned_or_refused(document: dict[str, Any]) -> None:
    outcome = attempt(lambda: make_plan(document))
    assert outcome in ("planned", *(error.__name__ for error in REFUSED))


@settings(deadline=None)
@given(_DOCUMENTS)
def test_every_problem_points_into_the_document(document: dict[str, Any]) -> None:
    problems = problems_of(document)
    assert all(problem.pointer == "" or problem.pointer.startswith("/") for problem in problems)
    assert all(problem.message for problem in problems)


def test_what_was_written_as_yaml_is_read_back() -> None:
    document = {"parameters": {"dropout": {"values": [0.0, 0.5]}}, "name": "yes", "run_cap": 10}
    assert read_sweep_file(yaml.safe_dump(document), "yaml") == document


def attempt(action: Any) -> str:
    """What came of an action: planned, or the name of the error it was refused with."""
    try:
        action()
    except REFUSED as error:
        return type(error).__name__
    return "planned"


def problems_of(document: dict[str, Any]) -> Any:
    try:
        make_plan(document)
    except REFUSED as error:
        return error.problems
    return ()
