"""Where every parameter lies. The first kernel is 86 % of a small network and lives apart; the rest is flat.

first kernel   (S, n_1, n_0)   transposed: one row per hidden unit, so that all slots form one tall matrix
the rest       (S, P)          kernels 2…L, biases 1…L, then scales, offsets and skip projections, each row-major
                               and starting at a multiple of 16, the gaps zero
moving averages (S, M)         means, then variances, of the inputs of layers 1…L, for batch normalization

An optimizer's moments are laid out like the parameters that they belong to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from worker.training.fused.kinds import Kinds

Tensor = Any  # a tensor of whichever backend Keras runs on
ALIGNMENT = 16  # floats in 64 bytes, a cache line


@dataclass(frozen=True, slots=True)
class Block:
    """A named tensor's place in a flat row: `size` numbers from `offset`, `padding` zeros after them."""

    offset: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def padding(self) -> int:
        return -self.size % ALIGNMENT

    @property
    def end(self) -> int:
        return self.offset + self.size + self.padding


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a network with these widths. Layers count from 1; layer l maps sizes[l-1] to sizes[l]."""

    sizes: tuple[int, ...]
    kinds: Kinds
    parameters: Mapping[str, Block] = field(init=False, compare=False)
    averages: Mapping[str, Block] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        n, layers = self.sizes, range(1, len(self.sizes))
        shapes: dict[str, tuple[int, ...]] = {f"kernel{k}": (n[k - 1], n[k]) for k in layers[1:]}
        shapes |= {f"bias{k}": (1, n[k]) for k in layers}
        if self.kinds.normalized:
            shapes |= {f"{name}{k}": (1, n[k - 1]) for k in layers for name in ("gamma", "beta")}
        shapes |= {f"projection{k}": (n[k - 1], n[k]) for k in self.projected_layers}
        moving: dict[str, tuple[int, ...]] = {}
        if "batch" in self.kinds.normalizations:
            moving = {f"{name}{k}": (1, n[k - 1]) for name in ("mean", "variance") for k in layers}
        object.__setattr__(self, "parameters", _place(shapes))
        object.__setattr__(self, "averages", _place(moving))

    @property
    def n_layers(self) -> int:
        return len(self.sizes) - 1

    @property
    def layers(self) -> range:
        """Layer numbers in forward order, 1…L; the last is the output."""
        return range(1, len(self.sizes))

    @property
    def residual_layers(self) -> range:
        """Layers with a skip connection: every hidden one but the first, if any trial is residual."""
        return range(2, self.n_layers) if self.kinds.residual else range(0)

    @property
    def projected_layers(self) -> list[int]:
        """Residual layers whose widths differ, so that the skip is a learned projection."""
        return [k for k in self.residual_layers if self.sizes[k - 1] != self.sizes[k]]

    @property
    def n_parameters(self) -> int:
        """P, the width of the flat parameters, gaps included."""
        return _end(self.parameters)

    @property
    def n_averages(self) -> int:
        """M, the width of the moving averages, gaps included."""
        return _end(self.averages)

    @property
    def rest_of_gradient(self) -> tuple[int, int]:
        """First and last place of what is neither kernel nor bias: scales, offsets, projections."""
        return self.parameters[f"bias{self.n_layers}"].end, self.n_parameters


def _place(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Block]:
    blocks: dict[str, Block] = {}
    offset = 0
    for name, shape in shapes.items():
        blocks[name] = Block(offset, shape)
        offset = blocks[name].end
    return blocks


def _end(blocks: Mapping[str, Block]) -> int:
    return max((block.end for block in blocks.values()), default=0)


def read(flat: Tensor, block: Block) -> Tensor:
    """One tensor of every slot: (S, P) → (S, *shape)."""
    values = flat[:, block.offset : block.offset + block.size]
    return ops.reshape(values, (flat.shape[0], *block.shape))


def pack(tensors: Mapping[str, Tensor], blocks: Mapping[str, Block]) -> Tensor:
    """All tensors of every slot in one flat array, the inverse of `read`: (S, *shape)… → (S, P)."""
    rows = []
    for name, block in blocks.items():
        row = ops.reshape(tensors[name], (tensors[name].shape[0], block.size))
        rows.append(ops.pad(row, ((0, 0), (0, block.padding))) if block.padding else row)
    return ops.concatenate(rows, axis=1)


def flatten(
    tensors: Mapping[str, NDArray[Any]], blocks: Mapping[str, Block], fill: Mapping[str, float]
) -> NDArray[Any]:
    """One trial's named arrays as a flat row (P,). A name not given is filled by the value of its kind in `fill`."""
    row = np.zeros(_end(blocks))
    for name, block in blocks.items():
        values = tensors.get(name, fill.get(name.rstrip("0123456789"), 0.0))
        row[block.offset : block.offset + block.size] = np.broadcast_to(values, block.shape).ravel()
    return row


def unflatten(row: NDArray[Any], blocks: Mapping[str, Block]) -> dict[str, NDArray[Any]]:
    """The named arrays of one trial's flat row: the inverse of `flatten`."""
    return {n: row[b.offset : b.offset + b.size].reshape(b.shape) for n, b in blocks.items()}


def network_sizes(n_features: int, hidden_units: Sequence[int], n_classes: int) -> tuple[int, ...]:
    """Widths in forward order: features, hidden units, classes."""
    return (n_features, *hidden_units, n_classes)
