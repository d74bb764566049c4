"""Every example, and the file that `gradsweep init` writes, is a sweep that can run, without a word of warning."""

from pathlib import Path

import pytest

from gradsweep.cli.demo import DEMO_SWEEP
from gradsweep.cli.starting import SWEEP_FILE
from service.domain.sweep_file import read_sweep_file
from service.operations.submitting import plan_sweep

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert {"quick", "mnist", "remedies"} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_can_run(path: Path) -> None:
    plan = plan_sweep(read_sweep_file(path.read_text(encoding="utf-8"), "yaml"))
    assert plan.warnings == ()
    assert plan.document.name == path.stem


def test_the_first_sweep_file_can_run() -> None:
    text = SWEEP_FILE.format(file="sweep.yaml", name="my-first-sweep")
    assert plan_sweep(read_sweep_file(text, "yaml")).warnings == ()


def test_the_demo_searches_what_the_article_compares() -> None:
    plan = plan_sweep(DEMO_SWEEP)
    assert plan.warnings == ()
    assert set(plan.document.space.searched) == {"learning_rate", "optimizer", "normalization", "dropout", "residual"}
