"""The searches of one process, by sweep."""

from collections import OrderedDict
from threading import Lock

import optuna

from service.domain.states import Method
from service.domain.sweep import Sweep
from service.suggestion.search import DrawnSearch, ModelSearch, SweepSearch

MAX_SEARCHES = 64
"""Searches that a process keeps at once; one that was dropped is rebuilt from rows when it is wanted again."""


class Searches:
    """The searches of this process, one per sweep, made when first wanted; the least used are forgotten."""

    def __init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce a study at every ask
        self._searches: OrderedDict[str, SweepSearch] = OrderedDict()
        self._lock = Lock()

    def of(self, sweep: Sweep) -> SweepSearch:
        """The search of a sweep; it knows nothing yet if its revision is 0."""
        with self._lock:
            search = self._searches.get(sweep.id)
            if search is None:
                search = self._searches[sweep.id] = new_search(sweep)
            self._searches.move_to_end(sweep.id)
            while len(self._searches) > MAX_SEARCHES:
                self._searches.popitem(last=False)
            return search

    def forget(self, sweep_id: str) -> None:
        """Drop the search of a sweep that is over or deleted."""
        with self._lock:
            self._searches.pop(sweep_id, None)


def new_search(sweep: Sweep) -> SweepSearch:
    """A search for this sweep's method that has seen nothing yet."""
    return ModelSearch(sweep) if sweep.method in (Method.TPE, Method.NSGA2) else DrawnSearch(sweep)
