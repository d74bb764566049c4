"""The table of a recording: a row per step and layer, as csv.

What a worker sends is read here before it is kept, so that every file that is stored can be drawn.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.recording import n_recorded
from service.errors import InvalidRequest, Problem

OF_NETWORK = ("loss", "global_norm")
"""The same in all rows of a step."""
OF_LAYER = ("grad_norm", "grad_rms", "bias_grad_rms", "update_ratio", "weight_norm")
COLUMNS = ("step", "layer", *OF_NETWORK, *OF_LAYER)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)|nan", re.ASCII)
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class StepTable:
    """Some of a trial's first steps, layer by layer; inf and nan are values.

    Attributes:
        steps: Which steps, counted from 1.
        layers: By column: for each layer, from the input up, its values by step.
    """

    steps: Sequence[int]
    layers: Mapping[str, Sequence[Sequence[float]]]

    @property
    def n_layers(self) -> int:
        """How many kernels the network has."""
        return len(self.layers[OF_LAYER[0]])


def check_steps(text: str, *, steps: int, every: int, n_layers: int) -> int:
    """Whether a text is the table of such a recording, by every letter.

    Args:
        text: As csv, with a header; lines end in a line feed.
        steps: The last step that was asked for; a trial may have had fewer.
        every: The first step, and each `every`-th after it.
        n_layers: How many rows each step has.

    Returns:
        The last step in it.

    Raises:
        InvalidRequest: It is not; says in which line.
    """
    header, *lines = text.removesuffix("\n").split("\n")
    if header != ",".join(COLUMNS):
        raise _refusal(1, f"the columns are {','.join(COLUMNS)}, not {header[:_SHOWN]!r}")
    if not lines or len(lines) % n_layers or len(lines) > n_recorded(steps, every) * n_layers:
        raise _refusal(len(lines) + 1, f"{len(lines)} rows are no whole steps of {n_layers} layers, of {steps} at most")
    for at, line in enumerate(lines):
        cells = line.split(",")
        step, layer = 1 + every * (at // n_layers), 1 + at % n_layers
        if cells[:2] != [str(step), str(layer)]:
            raise _refusal(at + 2, f"step {step}, layer {layer} comes here, not {line[:_SHOWN]!r}")
        if len(cells) != len(COLUMNS) or not all(map(_NUMBER.fullmatch, cells[2:])):
            raise _refusal(at + 2, f"{len(COLUMNS)} numbers are wanted, not {line[:_SHOWN]!r}")
    return 1 + every * (len(lines) // n_layers - 1)


def read_steps(text: str) -> StepTable:
    """The table that a text holds; it was checked when it came."""
    rows = [line.split(",") for line in text.removesuffix("\n").split("\n")[1:]]
    n_layers = max(int(row[1]) for row in rows)
    layers = {
        name: [[float(row[at]) for row in rows[layer::n_layers]] for layer in range(n_layers)]
        for at, name in enumerate(COLUMNS)
        if name in OF_LAYER
    }
    return StepTable([int(row[0]) for row in rows[::n_layers]], layers)


def _refusal(line: int, message: str) -> InvalidRequest:
    return InvalidRequest("The table of steps cannot be read.", [Problem("/result/csv", f"line {line}: {message}")])
