"""How many trials a bank may take, learnt from what went wrong.

Out of memory is a fact about a signature: its banks stay smaller. A bank that failed for a reason that names no trial
holds a culprit somewhere: the next banks of its signature are half as large each time, until the culprit fails alone;
each bank that then ends well doubles the size again. So a bad trial is found in log2(n) steps and takes no neighbour
with it.
"""


class Capacity:
    """Slots per signature.

    Args:
        n_slots: Slots of a bank when nothing is known against it.
    """

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._fits: dict[str, int] = {}
        self._careful: dict[str, int] = {}

    def slots(self, signature: str) -> int:
        """Slots of the next bank of this signature."""
        sizes = (self._n_slots, self._fits.get(signature), self._careful.get(signature))
        return min(size for size in sizes if size is not None)

    @property
    def next_claim(self) -> int:
        """How many trials to ask for when any signature may come: what fits the smallest bank known."""
        return min([self._n_slots, *self._fits.values(), *self._careful.values()])

    def is_careful(self, signature: str) -> bool:
        """Whether a culprit is being looked for; such a bank is not refilled."""
        return signature in self._careful

    def ran_out_of_memory(self, signature: str, n_slots: int) -> int:
        """A bank of `n_slots` did not fit; returns the size to try next, 0 if not even one slot fits."""
        self._fits[signature] = max(1, n_slots // 2)
        return n_slots // 2

    def failed(self, signature: str, n_trials: int) -> None:
        """A bank with `n_trials` failed as a whole."""
        self._careful[signature] = max(1, n_trials // 2)

    def ended_well(self, signature: str) -> None:
        """A bank has run until it was empty, or its only trial was found to be the culprit."""
        if signature in self._careful:
            self._careful[signature] *= 2
            if self._careful[signature] >= self._n_slots:
                del self._careful[signature]
