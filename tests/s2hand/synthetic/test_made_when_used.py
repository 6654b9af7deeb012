from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from s2hand.errors import DataError
from s2hand.synthetic.made_when_used import MadeWhenUsed


def test_an_element_is_made_when_it_is_first_used_and_kept() -> None:
    numbers: list[int] = []
    row = MadeWhenUsed(3, lambda index: numbers.append(index) or [index])
    assert (len(row), numbers) == (3, [])
    assert row[2] is row[2]
    assert [each[0] for each in row] == [0, 1, 2]
    assert numbers == [2, 0, 1]


def test_different_elements_are_made_at_a_time_and_one_waits_for_its_maker() -> None:
    both_at_work, made = Barrier(2, timeout=20), Event()

    def make(index: int) -> int:
        assert not made.is_set(), "made twice"
        both_at_work.wait()  # broken if elements 0 and 1 were made one after the other
        return index

    row = MadeWhenUsed(2, make)
    with ThreadPoolExecutor(3) as executor:
        assert list(executor.map(row.__getitem__, [0, 0, 1])) == [0, 0, 1]
    made.set()
    assert list(row) == [0, 1]


def test_an_element_that_could_not_be_made_is_tried_again() -> None:
    attempts: list[int] = []

    def make(index: int) -> int:
        attempts.append(index)
        if len(attempts) == 1:
            raise DataError("no space")
        return index

    row = MadeWhenUsed(1, make)
    with pytest.raises(DataError, match="no space"):
        row[0]
    assert row[0] == 0
