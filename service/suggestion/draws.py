"""Searches that learn nothing: random, quasi-random and grid, each a function of the sweep's seed and an index.

Nothing has to be remembered over a restart. Point i of a sequence is the same whenever it is asked for; trial n is
the n-th *distinct* trial of the sequence, so duplicates of a discrete space are never trained twice.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import qmc

from service.domain.parameters import config_hash
from service.domain.space import Space
from service.wire.parameters import Parameters

MAX_DUPLICATES = 100
"""So many duplicates in a row, and what is left of a finite space is taken in the order of the shuffled grid."""

_BLOCK = 256
_GRID_STREAM = 2**32  # a stream that no index of a point can have

Coordinates = Callable[[int], Sequence[float]]
"""Index of a point → its coordinates in [0, 1), one for each searched parameter."""


def random_coordinates(seed: int, n_axes: int) -> Coordinates:
    """Uniform and independent: Philox, keyed by seed and index.

    References:
        Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """

    def at(index: int) -> Sequence[float]:
        generator = np.random.Generator(np.random.Philox(key=[seed, index]))
        return [float(u) for u in generator.random(n_axes)]

    return at


def quasi_random_coordinates(seed: int, n_axes: int) -> Coordinates:
    """Scrambled Sobol' points: they fill the cube more evenly than random ones.

    References:
        Sobol' (1967); Owen (1998), Scrambling Sobol' and Niederreiter-Xing points.
    """

    @lru_cache(maxsize=4)
    def block(number: int) -> list[list[float]]:
        engine = qmc.Sobol(n_axes, scramble=True, rng=seed)
        if number > 0:  # it cannot stay where it is
            engine.fast_forward(number * _BLOCK)
        points: list[list[float]] = engine.random(_BLOCK).tolist()
        return points

    return lambda index: block(index // _BLOCK)[index % _BLOCK]


def shuffled_grid(space: Space, seed: int) -> list[int]:
    """Every distinct trial of a finite space once, by its index, in an order that the seed fixes.

    Shuffled, because the part of a grid that is done when you look at it should say something of the whole.
    Empty if the space is not finite, or too large to be listed.
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, _GRID_STREAM]))
    return [int(index) for index in generator.permutation(space.n_distinct or 0)]


class DistinctDraws:
    """The n-th distinct trial of a sequence of points.

    Args:
        space: What is searched.
        coordinates: The sequence.
        seed: Orders what is left when a finite space is nearly exhausted.
    """

    def __init__(self, space: Space, coordinates: Coordinates, seed: int) -> None:
        self._space = space
        self._coordinates = coordinates
        self._seed = seed
        self._next_point = 0
        self._next_cell = 0
        self._grid: list[int] | None = None
        self._taken: set[str] = set()
        self._sources: list[tuple[bool, int]] = []  # of trial n: (is it from the grid?, its index there)
        self._made: tuple[tuple[bool, int], Parameters] | None = None  # the last one; it is asked for at once

    def trial(self, number: int) -> Parameters | None:
        """Trial `number`, or None if the space holds fewer."""
        while len(self._sources) <= number:
            source = self._next_distinct()
            if source is None:
                return None
            self._sources.append(source)
        source = self._sources[number]
        return self._made[1] if self._made is not None and self._made[0] == source else self._at(*source)

    def _at(self, from_grid: bool, index: int) -> Parameters:
        if from_grid:
            return self._space.parameters(self._space.distinct_point(index))
        return self._space.parameters(self._space.point_at(self._coordinates(index)))

    def _next_distinct(self) -> tuple[bool, int] | None:
        for _ in range(MAX_DUPLICATES if self._grid is None else 0):
            index, self._next_point = self._next_point, self._next_point + 1
            if self._take(False, index):
                return False, index
        if self._grid is None:
            self._grid = shuffled_grid(self._space, self._seed)
        while self._next_cell < len(self._grid):
            index, self._next_cell = self._grid[self._next_cell], self._next_cell + 1
            if self._take(True, index):
                return True, index
        return None

    def _take(self, from_grid: bool, index: int) -> bool:
        parameters = self._at(from_grid, index)
        self._made = ((from_grid, index), parameters)
        fingerprint = config_hash(parameters)
        is_new = fingerprint not in self._taken
        self._taken.add(fingerprint)
        return is_new


class GridDraws:
    """Every distinct trial of a finite space once, in a shuffled order."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._order = shuffled_grid(space, seed)

    def trial(self, number: int) -> Parameters | None:
        """Trial `number`, or None if the grid holds fewer."""
        if number >= len(self._order):
            return None
        return self._space.parameters(self._space.distinct_point(self._order[number]))
