from pathlib import Path

import pytest

from service.domain.stability.rules import Rule
from service.domain.stability.score import WEIGHTS
from service.domain.states import Verdict
from service.wire.leases import EpochReport, LayerReport

PAGE = (Path(__file__).parents[4] / "docs" / "gradients.md").read_text(encoding="utf-8")
NAMES = [*LayerReport.model_fields, *EpochReport.model_fields, *Rule, *Verdict, *WEIGHTS]


@pytest.mark.parametrize("name", sorted({str(name) for name in NAMES} - {"layer", "epoch", "layers"}))
def test_every_number_verdict_rule_and_part_is_documented(name):
    assert f"`{name}`" in PAGE
