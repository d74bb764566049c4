"""Who gets a free slot."""

import pytest

from service.domain.batch import Candidate, choose_batch, share_proposals


def candidates(text: str) -> list[Candidate]:
    """`a1 b2:4` is trial a1 of sweep a, and b2 of sweep b with batch_limit 4; oldest first."""
    pairs = [word.partition(":") for word in text.split()]
    return [Candidate(name, name[0], int(limit) if limit else None) for name, _, limit in pairs]


@pytest.mark.parametrize(
    ("waiting", "n_running", "held", "n", "chosen"),
    [
        ("a1 a2 a3", {}, [], 2, "a1 a2"),
        ("a1 a2 b1 b2", {}, [], 4, "a1 b1 a2 b2"),
        ("a1 a2 b1 b2", {"a": 2}, [], 3, "b1 b2 a1"),
        ("a1 a2 a3 b1", {"b": 9}, [], 4, "a1 a2 a3 b1"),
        ("", {}, [], 4, ""),
        ("a1:1 a2", {}, [], 4, "a1"),
        ("a1 a2:1 a3", {}, [], 4, "a1 a3"),
        ("a1:2 a2 a3", {}, [], 4, "a1 a2"),
        ("a1 a2", {}, [None, None], 4, "a1 a2"),
        ("a1 a2", {}, [4, None, None], 4, "a1"),
        ("a1 a2", {}, [1], 4, ""),
        ("a1:2 a2", {}, [None, None], 4, "a2"),
    ],
)
def test_choose_batch(waiting: str, n_running: dict[str, int], held: list[int | None], n: int, chosen: str) -> None:
    assert choose_batch(candidates(waiting), n_running, held_limits=held, max_trials=n) == chosen.split()


@pytest.mark.parametrize(
    ("room", "n_active", "n", "shares"),
    [
        ({"a": 9}, {}, 4, {"a": 4}),
        ({"a": 9, "b": 9}, {}, 5, {"a": 3, "b": 2}),
        ({"a": 9, "b": 9}, {"a": 3}, 4, {"b": 3, "a": 1}),
        ({"a": 1, "b": 2}, {}, 9, {"a": 1, "b": 2}),
        ({"a": 0}, {}, 3, {}),
        ({}, {}, 3, {}),
    ],
)
def test_share_proposals(room: dict[str, int], n_active: dict[str, int], n: int, shares: dict[str, int]) -> None:
    assert share_proposals(room, n_active, n) == shares


def matched(text: str) -> list[Candidate]:
    """`a1 a2 b` is two matched trials of sweep a's group 1 … : the letter is the sweep, the digit the group."""
    return [
        Candidate(f"{name}{place}", name[0], None, int(name[1:]) if name[1:] else None)
        for place, name in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("waiting", "held", "n", "chosen"),
    [
        ("a1 a1 a1 a2 a2 a2", "", 6, "a10 a11 a12 a23 a24 a25"),
        ("a1 a1 a1 a2 a2 a2", "", 5, "a10 a11 a12"),
        ("a1 a1 a1 a2 a2 a2", "", 2, "a10 a11"),
        ("a1 a1 a1", "a", 2, ""),
        ("a1 a1 a1", "a", 3, "a10 a11 a12"),
        ("a1 a1 a1 a1 a1 a1", "a", 3, "a10 a11 a12"),
        ("a1 a1 a1", "b", 2, "a10 a11"),
        ("a1 a1 a1", "ab", 2, "a10 a11"),
        ("a1 a1 a1 b b", "a", 2, "b3 b4"),
        ("a1 a1 b b", "", 3, "a10 a11 b2"),
    ],
)
def test_a_group_is_taken_whole_or_waits_for_its_own_sweep(waiting: str, held: str, n: int, chosen: str) -> None:
    found = choose_batch(matched(waiting), {}, held_limits=[None] * len(held), held_sweeps=set(held), max_trials=n)
    assert " ".join(found) == chosen
