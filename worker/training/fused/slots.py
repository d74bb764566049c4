"""What is written into a slot: a trial's state before its first step, or nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.training.contract import TrialSpec
from worker.training.fused import records
from worker.training.fused.layout import Layout, flatten, unflatten
from worker.training.fused.optimizers import initial_second_moment
from worker.training.initialization import LayerWeights, initial_weights

Array = NDArray[Any]
Rows = dict[str, Array]  # one slot of every array of `program.State`, by its name
UNUSED = {"gamma": 1.0, "variance": 1.0}  # what a parameter holds that a trial has no use for; others hold 0


def empty_rows(layout: Layout) -> Rows:
    """A slot without a trial: zeros everywhere, so that whatever was there is gone."""
    first: tuple[int, ...] = (layout.sizes[1], layout.sizes[0])
    rest: tuple[int, ...] = (layout.n_parameters,)
    shapes = {"first_kernel": first, "first_m": first, "first_v": first}
    shapes |= {"rest": rest, "rest_m": rest, "rest_v": rest}
    shapes |= {"averages": (layout.n_averages,), "norms": (records.n_norms(layout),)}
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def initial_rows(layout: Layout, spec: TrialSpec) -> Rows:
    """A trial before its first step: its seed's weights, its optimizer's moments, norms as far as they are known."""
    weights = initial_weights(spec.seed, spec.hyperparameters, layout.sizes[0], layout.sizes[-1])
    rows = empty_rows(layout) | weight_rows(layout, named_weights(weights))
    second = initial_second_moment(spec.hyperparameters)
    return rows | {
        "first_v": np.full_like(rows["first_v"], second),
        "rest_v": np.full_like(rows["rest_v"], second),
        "averages": flatten({}, layout.averages, UNUSED),
    }


def weight_rows(layout: Layout, parameters: Mapping[str, Array]) -> Rows:
    """The rows that hold these parameters, named as in the layout, kernels as (n_in, n_out); and their norms."""
    kernels = [np.asarray(parameters[f"kernel{k}"], np.float64) for k in layout.layers]
    unknown = np.ones(records.n_norms(layout) - layout.n_layers)
    return {
        "first_kernel": kernels[0].T,
        "rest": flatten(parameters, layout.parameters, UNUSED),
        "norms": np.concatenate([unknown, [np.linalg.norm(kernel) for kernel in kernels]]),
    }


def named_weights(weights: Sequence[LayerWeights]) -> dict[str, Array]:
    """A trial's initial weights by the layout's names."""
    named: dict[str, Array] = {}
    for k, layer in enumerate(weights, start=1):
        named |= {f"kernel{k}": layer.kernel, f"bias{k}": layer.bias}
        named |= {f"gamma{k}": layer.gamma, f"beta{k}": layer.beta}
        if layer.projection is not None:
            named[f"projection{k}"] = layer.projection
    return named


def moved_rows(arrays: Mapping[str, Array], old: Layout, new: Layout) -> dict[str, Array]:
    """The state of all slots, by name, in another layout of the same network."""
    moved = dict(arrays)
    for name in ("rest", "rest_m", "rest_v", "averages"):
        before, after = (layout.averages if name == "averages" else layout.parameters for layout in (old, new))
        fill = UNUSED if name in {"rest", "averages"} else {}
        moved[name] = np.stack([flatten(unflatten(row, before), after, fill) for row in arrays[name]])
    if records.has_rest(new) and not records.has_rest(old):  # the norm of what was not there is not known
        moved["norms"] = np.insert(arrays["norms"], records.n_gradient_norms(old), 1.0, axis=1)
    return moved
