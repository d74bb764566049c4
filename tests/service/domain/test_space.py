"""The space: points to trials and back, and how many distinct trials there are."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.distributions import Categorical, Constant, Distribution, IntUniform, Quantized, Uniform
from service.domain.parameters import canonical, config_hash
from service.domain.space import Space, idle_names
from service.wire.parameters import Parameters

BOOLS = Categorical((True, False))
SPACES: list[Mapping[str, Distribution]] = [
    {"dropout": Quantized(0.0, 0.5, 0.1), "epochs": IntUniform(1, 3)},
    {"optimizer": Categorical(("sgd", "adam")), "momentum": Categorical((0.0, 0.9)), "nesterov": BOOLS},
    {"optimizer": Categorical(("sgd", "momentum", "nesterov", "adamw")), "dropout": Categorical((0.0, 0.5))},
    {"hidden_units": Categorical(((8,), (8, 8))), "residual": BOOLS, "normalization": Categorical(("none", "batch"))},
    {"depth": IntUniform(1, 3), "width": Categorical((4, 8)), "residual": BOOLS},
    {"depth": Constant(2), "width": IntUniform(4, 6), "clip_norm": Categorical((None, 1.0))},
    {"depth": Constant(2), "width": IntUniform(4, 6), "optimizer": Categorical(("sgd", "nesterov"))},
    {"optimizer": Constant("sgd"), "momentum": Quantized(0.0, 0.9, 0.3), "nesterov": BOOLS},
]


def every_point(space: Space) -> list[dict[str, Any]]:
    values = [distribution.values() or () for distribution in space.searched.values()]
    return [dict(zip(space.names, each, strict=True)) for each in product(*values)]


@pytest.mark.parametrize("distributions", SPACES, ids="-".join)
def test_distinct_trials_are_counted_and_listed_once_each(distributions: Mapping[str, Distribution]) -> None:
    space = Space.from_distributions(distributions)
    naive = {config_hash(space.parameters(point)) for point in every_point(space)}
    listed = [config_hash(space.parameters(space.distinct_point(index))) for index in range(space.n_distinct or 0)]
    assert len(listed) == len(naive)
    assert set(listed) == naive


@pytest.mark.parametrize("distributions", SPACES, ids="-".join)
def test_a_trial_leads_back_to_its_point(distributions: Mapping[str, Distribution]) -> None:
    space = Space.from_distributions(distributions)
    for point in every_point(space):
        parameters = space.parameters(point)
        assert space.parameters(space.point_of(parameters)) == parameters


def test_the_definition_makes_the_same_space() -> None:
    distributions = SPACES[3]
    definition = {name: each.to_definition() for name, each in distributions.items()}
    assert Space.from_definition(definition) == Space.from_distributions(distributions)


@pytest.mark.parametrize("distributions", SPACES, ids="-".join)
def test_representatives_take_every_listed_value(distributions: Mapping[str, Distribution]) -> None:
    space = Space.from_distributions(distributions)
    shown = [space.point_of(parameters) for parameters in space.representatives()]
    normalizations = {parameters.normalization for parameters in space.representatives()}
    optimizers = {parameters.optimizer for parameters in space.representatives()}
    assert normalizations == {parameters.normalization for parameters in map(space.parameters, every_point(space))}
    assert optimizers == {parameters.optimizer for parameters in map(space.parameters, every_point(space))}
    assert all(point.keys() <= set(space.names) for point in shown)


def test_representatives_take_both_ends_of_a_range() -> None:
    space = Space.from_distributions({"dropout": Uniform(0.0, 0.5), "weight_decay": Uniform(0.0, 0.1)})
    low, high = space.representatives()
    assert (low.dropout, low.weight_decay) == (0.0, 0.0)
    assert (high.dropout, high.weight_decay) == pytest.approx((0.5, 0.1))


def test_a_fixed_space_is_its_own_representative() -> None:
    space = Space.from_distributions({"dropout": Constant(0.3)})
    assert [parameters.dropout for parameters in space.representatives()] == [0.3]


def test_a_continuous_space_is_not_counted() -> None:
    space = Space.from_distributions({"dropout": Uniform(0.0, 0.5), "epochs": IntUniform(1, 3)})
    assert (space.n_points, space.n_distinct) == (None, None)


def test_a_huge_space_is_counted_by_points_only() -> None:
    space = Space.from_distributions({"epochs": IntUniform(1, 10_000), "batch_size": IntUniform(1, 10_000)})
    assert (space.n_points, space.n_distinct) == (100_000_000, None)


def test_a_space_of_constants_holds_one_trial() -> None:
    space = Space.from_distributions({"epochs": Constant(3)})
    assert (space.names, space.n_distinct) == ((), 1)
    assert space.parameters({}) == canonical({"epochs": 3})


@pytest.mark.parametrize(
    ("distributions", "idle"),
    [
        ({"momentum": Uniform(0.0, 0.9)}, ["momentum"]),
        ({"optimizer": Categorical(("adam", "sgd")), "momentum": Uniform(0.0, 0.9)}, []),
        ({"optimizer": Constant("sgd"), "nesterov": BOOLS}, ["nesterov"]),
        ({"optimizer": Constant("sgd"), "momentum": Uniform(0.1, 0.9), "nesterov": BOOLS}, []),
        ({"hidden_units": Constant((8,)), "residual": BOOLS}, ["residual"]),
        ({"depth": IntUniform(1, 2), "width": Constant(8), "residual": BOOLS}, []),
        ({"residual": BOOLS}, []),
    ],
)
def test_what_has_no_effect_anywhere_is_not_searched(
    distributions: Mapping[str, Distribution], idle: list[str]
) -> None:
    assert idle_names(distributions) == idle
    assert not set(idle) & set(Space.from_distributions(distributions).names)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=6, max_size=6))
def test_any_point_of_a_mixed_space_is_a_canonical_trial(coordinates: list[float]) -> None:
    space = Space.from_distributions(
        {
            "learning_rate": Uniform(1e-5, 1.0, log=True),
            "optimizer": Categorical(("sgd", "adam")),
            "momentum": Uniform(0.0, 0.99),
            "depth": IntUniform(1, 4),
            "width": Quantized(8, 64, 8),
            "residual": BOOLS,
        }
    )
    parameters = space.parameters(space.point_at(coordinates))
    assert isinstance(parameters, Parameters)
    assert canonical(parameters.model_dump()) == parameters
