"""What an attempt records of its bank's program, so that a replay compiles the same one.

Two programs with other kinds or tiles of another size agree to rounding; the same program agrees bit by bit.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from worker.training.fused.bank import FusedBank
from worker.training.fused.kinds import Kinds


def recipe_of(bank: FusedBank) -> dict[str, str]:
    """The bank's program in words: `kinds`, only those that are there, `slots_per_tile` and `statistics_every`."""
    chosen = {each.name: getattr(bank.kinds, each.name) for each in fields(Kinds)}
    words = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in chosen.items() if value}
    return {
        "kinds": json.dumps(words, separators=(",", ":")),
        "slots_per_tile": str(bank.slots_per_tile),
        "statistics_every": str(bank.statistics_every),
    }


def program_options(recorded: Mapping[str, str]) -> dict[str, Any]:
    """A `FusedBank`'s kinds and slots for the recorded program in one tile; nothing where nothing was recorded."""
    if not {"kinds", "slots_per_tile"} <= set(recorded):
        return {}
    words: dict[str, Any] = json.loads(recorded["kinds"])
    words |= {name: frozenset(value) for name, value in words.items() if isinstance(value, list)}
    kinds = Kinds(**words)
    slots = int(recorded["slots_per_tile"])
    return {"kinds": kinds, "slots_per_tile": slots, "n_slots": slots, "n_streams": 1}
