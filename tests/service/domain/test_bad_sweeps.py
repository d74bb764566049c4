"""The corpus of sweep files that must be refused: by the right error, where, and with what to do next."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from service.domain.plan import make_plan
from service.domain.sweep_file import read_sweep_file
from service.errors import ServiceError

CORPUS = yaml.safe_load((Path(__file__).parents[2] / "corpus" / "bad_sweeps.yaml").read_text())


def text_of(case: dict[str, Any]) -> str:
    return "".join(part * times for part, times in case.get("parts", [[case.get("text"), 1]]))


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["name"])
def test_is_refused_with_its_pointer_and_what_to_do(case: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as caught:
        make_plan(read_sweep_file(text_of(case), case.get("kind", "yaml")))
    said = {problem.pointer: problem.message for problem in caught.value.problems}
    assert caught.value.code == case["code"]
    assert case["pointer"] in said
    assert case["says"] in said[case["pointer"]]


def test_no_two_cases_have_one_name() -> None:
    assert len({case["name"] for case in CORPUS}) == len(CORPUS)
