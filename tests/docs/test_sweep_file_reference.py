"""docs/sweep-file.md names everything that a sweep file may hold, with its range, default and meaning."""

import json
import re
from pathlib import Path

import pytest
import yaml

from service.domain.catalogue import CATALOGUE, PRESETS, ParameterSpec
from service.domain.distributions import DISTRIBUTIONS, PLANNED_DISTRIBUTIONS
from service.domain.metrics import IDEALS, METRIC_WORDS, METRICS, STORED_METRICS, STORED_WORDS, TEST_METRICS
from service.domain.plan import make_plan
from service.domain.states import Method
from service.domain.sweep_file import read_sweep_file
from service.domain.sweep_keys import BUILT_IN_DATASETS, PLANNED_KEYS, SWEEP_KEYS, WANDB_KEYS

TEXT = (Path(__file__).parents[2] / "docs" / "sweep-file.md").read_text()
ROWS = {
    cells[0].strip("` "): [cell.strip() for cell in cells[1:]]
    for cells in (line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| `"))
}


def values_of(spec: ParameterSpec) -> str:
    by_kind = {
        "bool": "true, false",
        "choice": ", ".join(spec.choices),
        "units": "1 to 100 widths of 1 to 4096",
        "int": spec.range_in_words,
        "float": spec.range_in_words,
    }
    extra = {"weight_decay": " or auto", "clip_norm": " or null"}
    return by_kind[spec.kind] + extra.get(spec.name, "")


def default_of(spec: ParameterSpec) -> str:
    words = {"depth": "none", "width": "none"}
    return words.get(spec.name, json.dumps(spec.default).strip('"'))


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_every_parameter_with_its_values_default_and_meaning(spec: ParameterSpec) -> None:
    values, default, meaning = ROWS[spec.name]
    assert (values, default) == (values_of(spec), default_of(spec))
    assert meaning.replace("`", "") == spec.meaning.replace("`", "")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_with_its_direction(name: str) -> None:
    assert ROWS[name] == [METRICS[name].value, METRIC_WORDS[name]]


@pytest.mark.parametrize("name", STORED_WORDS)
def test_every_number_that_can_be_bounded(name: str) -> None:
    better = f"near {IDEALS[name]:g}" if name in IDEALS else STORED_METRICS[name].value
    assert ROWS[name] == [better, STORED_WORDS[name]]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_distribution(name: str) -> None:
    assert ROWS[name][1].replace("`", "").startswith(DISTRIBUTIONS[name].replace("`", ""))


@pytest.mark.parametrize("key", SWEEP_KEYS)
def test_every_key_has_a_row(key: str) -> None:
    assert key in ROWS


@pytest.mark.parametrize(
    "word",
    [
        *WANDB_KEYS,
        *PLANNED_KEYS,
        *PLANNED_DISTRIBUTIONS,
        *TEST_METRICS,
        *PRESETS,
        *BUILT_IN_DATASETS,
        *Method,
        *make_plan({"parameters": {"epochs": 1}, "run_cap": 1}).numbers(),
    ],
)
def test_every_word_is_named(word: str) -> None:
    assert f"`{word}`" in TEXT


def test_the_preset_is_spelled_out() -> None:
    assert all(f"`{name}: {value}`" in ROWS["preset"][1] for name, value in PRESETS["article"].items())


def test_the_example_runs() -> None:
    example = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0]
    plan = make_plan(read_sweep_file(example, "yaml"))
    assert plan.document.name == yaml.safe_load(example)["name"]
    assert plan.warnings == ()
