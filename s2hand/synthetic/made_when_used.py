"""Elements that are made by whoever first asks for them, and kept."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, SupportsIndex, TypeVar

Made = TypeVar("Made")


class MadeWhenUsed(Generic[Made]):
    """A row of elements for several threads: each is made once, different ones at a time."""

    def __init__(self, count: int, make: Callable[[int], Made]) -> None:
        """Make nothing yet.

        Args:
            count: How many elements there are.
            make: Makes the element of a number from 0 to ``count`` − 1.
        """
        self._make = make
        self._locks = tuple(Lock() for _ in range(count))
        self._made: dict[int, Made] = {}

    def __len__(self) -> int:
        return len(self._locks)

    def __getitem__(self, index: SupportsIndex) -> Made:
        number = int(index)
        with self._locks[number]:
            if number not in self._made:
                self._made[number] = self._make(number)
            return self._made[number]
