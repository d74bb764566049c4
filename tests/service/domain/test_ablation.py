"""Ablations: what is trained, in which order, and how a sweep file says it."""

from typing import Any

import pytest

from service.domain.ablation import Ablation, changed, representatives
from service.domain.plan import SweepPlan, make_plan

SIGMOID = {"depth": 10, "width": 128, "activation": "sigmoid", "optimizer": "sgd", "learning_rate": 0.01}


def plan(parameters: dict[str, Any] | None = None, **keys: Any) -> SweepPlan:
    return make_plan({"method": "ablation", "dataset": "digits", "parameters": parameters or SIGMOID, **keys})


def ablation_of(made: SweepPlan) -> Ablation:
    assert made.document.ablation is not None
    return made.document.ablation


def test_the_five_remedies_alone_and_together_under_five_seeds() -> None:
    made = plan()
    variants = {variant.remedy: variant.changes for variant in ablation_of(made).variants()}
    assert made.n_trials == made.n_distinct == made.document.max_parallel == 35
    assert variants == {
        "base": {},
        "learning_rate": {"learning_rate": 0.1},
        "optimizer": {"optimizer": "adam", "learning_rate": 0.001},
        "normalization": {"normalization": "batch"},
        "dropout": {"dropout": 0.2},
        "residual": {"residual": True},
        "all": {
            "learning_rate": 0.001,
            "optimizer": "adam",
            "normalization": "batch",
            "dropout": 0.2,
            "residual": True,
        },
    }
    assert {"/seeds", "/remedies"} <= set(made.defaulted)


def test_variants_differ_from_the_base_in_their_changes_alone() -> None:
    base, *others = ablation_of(plan()).variants()
    for variant in others:
        found, was = variant.parameters.model_dump(), base.parameters.model_dump()
        assert {name for name in found if found[name] != was[name]} - {"momentum"} == set(variant.changes)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("sgd", 0.1), ("momentum", 0.01), ("nesterov", 0.01), ("rmsprop", 0.001), ("adagrad", 0.01)]
)
def test_the_customary_learning_rate_is_that_of_the_bases_optimizer(optimizer: str, rate: float) -> None:
    made = plan({"optimizer": optimizer, "learning_rate": 0.5})
    assert made.resolved["remedies"]["learning_rate"] == {"learning_rate": rate}


def test_a_base_with_adam_lacks_a_better_learning_rate_and_no_better_optimizer() -> None:
    made = plan({"learning_rate": 0.01})
    assert list(made.resolved["remedies"]) == ["learning_rate", "normalization", "dropout", "residual"]
    named = plan({"learning_rate": 0.01}, remedies=["learning_rate", "optimizer"])
    assert list(named.resolved["remedies"]) == ["learning_rate"]
    assert any("/remedies/optimizer comes to the same as learning_rate" in warning for warning in named.warnings)


def test_a_remedy_that_the_base_has_is_left_out_with_a_note() -> None:
    made = plan({"optimizer": "adam", "normalization": "batch", "dropout": 0.2})
    assert list(made.resolved["remedies"]) == ["residual"]
    assert [variant.remedy for variant in ablation_of(made).variants()] == ["base", "residual"]
    assert len([warning for warning in made.warnings if "the base is so already" in warning]) == 4


def test_a_list_chooses_among_the_five() -> None:
    assert list(plan(remedies=["residual", "normalization"]).resolved["remedies"]) == ["normalization", "residual"]


def test_trials_of_a_replicate_follow_one_another() -> None:
    ablation = ablation_of(plan(remedies=["normalization", "residual"], seeds=2))
    order = [(number, replicate, variant.remedy) for number, replicate, variant in ablation.trials()]
    assert order == [
        (0, 0, "base"),
        (1, 0, "normalization"),
        (2, 0, "residual"),
        (3, 0, "all"),
        (4, 1, "base"),
        (5, 1, "normalization"),
        (6, 1, "residual"),
        (7, 1, "all"),
    ]


def test_a_remedy_may_change_the_shape_and_needs_a_program_of_its_own() -> None:
    made = plan(remedies={"shallow": {"hidden_units": [64, 64]}, "normalized": {"normalization": "batch"}}, seeds=1)
    shapes = [variant.parameters.hidden_units for variant in ablation_of(made).variants()]
    assert shapes == [(128,) * 10, (64, 64), (128,) * 10, (64, 64)]
    assert made.n_programs == 2


@pytest.mark.parametrize(
    ("values", "changes", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True}, {"optimizer": "adam"}, {"optimizer": "adam"}),
        ({"optimizer": "sgd", "momentum": 0.0}, {"momentum": 0.9}, {"optimizer": "sgd", "momentum": 0.9}),
        ({"depth": 3, "width": 8}, {"hidden_units": (4,)}, {"hidden_units": (4,)}),
        ({"hidden_units": (4,)}, {"depth": 3, "width": 8}, {"depth": 3, "width": 8}),
        ({"depth": 3, "width": 8}, {"depth": 5}, {"depth": 5, "width": 8}),
    ],
)
def test_what_a_change_replaces_goes(values: dict[str, Any], changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(values, changes) == expected


def test_a_resolved_file_is_the_same_ablation_again() -> None:
    made = plan(remedies={"shallow": {"hidden_units": [64, 64]}, "He": {"initializer": "he_normal"}}, seeds=2)
    again = make_plan(made.resolved)
    assert again.resolved == made.resolved
    assert ablation_of(again).variants() == ablation_of(made).variants()


def test_what_a_row_keeps_is_the_whole_ablation() -> None:
    made = plan(seeds=3)
    stored = Ablation.from_definition(made.document.definition())
    assert stored is not None
    assert list(stored.trials()) == list(ablation_of(made).trials())


def test_workers_are_shown_every_variant() -> None:
    shown = representatives(plan().document.definition())
    assert {parameters.normalization for parameters in shown} == {"none", "batch"}
    assert {parameters.optimizer for parameters in shown} == {"sgd", "adam"}


def test_workers_are_shown_the_space_of_a_search() -> None:
    definition = make_plan({"run_cap": 5, "parameters": {"dropout": {"values": [0.1, 0.2]}}}).document.definition()
    assert {parameters.dropout for parameters in representatives(definition)} == {0.1, 0.2}
