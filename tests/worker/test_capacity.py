"""How banks shrink and grow again."""

from worker.capacity import Capacity


def test_a_bank_has_all_slots_while_nothing_is_known_against_it():
    capacity = Capacity(16)
    assert (capacity.slots("a"), capacity.next_claim, capacity.is_careful("a")) == (16, 16, False)


def test_out_of_memory_halves_one_signature_for_good():
    capacity = Capacity(16)
    assert [capacity.ran_out_of_memory("a", n_slots) for n_slots in (16, 8)] == [8, 4]
    capacity.ended_well("a")
    assert (capacity.slots("a"), capacity.slots("b"), capacity.next_claim) == (4, 16, 4)
    assert not capacity.is_careful("a")


def test_nothing_is_left_to_try_below_one_slot():
    assert Capacity(1).ran_out_of_memory("a", 1) == 0


def test_a_failed_bank_halves_and_success_doubles_until_all_is_as_before():
    capacity = Capacity(8)
    capacity.failed("a", 8)
    capacity.failed("a", 4)
    assert (capacity.slots("a"), capacity.next_claim, capacity.is_careful("a")) == (2, 2, True)
    capacity.ended_well("a")
    assert capacity.slots("a") == 4
    capacity.ended_well("a")
    assert (capacity.slots("a"), capacity.next_claim, capacity.is_careful("a")) == (8, 8, False)
