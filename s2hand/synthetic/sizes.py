"""How much of everything a synthetic benchmark holds."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

SizeName = Literal["demo", "compact", "small", "full"]
Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSize:
    """Counts of one split; train and test share no subject, background, object or sequence."""

    images: int
    """Images of the collection (FreiHAND's layout)."""
    sequences: int
    """Sequences (HO-3D's layout)."""
    min_frames: int
    """Fewest annotated frames of a sequence."""
    max_frames: int
    """Most annotated frames of a sequence."""
    subjects: int
    backgrounds: int
    objects: int
    length_skew: float = 1.0
    """1: all lengths are equally frequent; more: most sequences are short, few are long."""

    def num_frames(self, generator: np.random.Generator) -> int:
        """Draw the number of annotated frames of one sequence."""
        span = self.max_frames - self.min_frames + 1
        return self.min_frames + int(span * generator.random() ** self.length_skew)


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSize:
    """Counts of a whole benchmark."""

    train: SplitSize
    test: SplitSize

    def split(self, name: Split) -> SplitSize:
        """Give the counts of one split."""
        return self.train if name == "train" else self.test


_SMALL = SyntheticSize(
    train=SplitSize(
        images=6400,
        sequences=64,
        min_frames=60,
        max_frames=150,
        subjects=48,
        backgrounds=240,
        objects=80,
    ),
    test=SplitSize(
        images=800,
        sequences=16,
        min_frames=60,
        max_frames=150,
        subjects=16,
        backgrounds=60,
        objects=24,
    ),
)

SIZES: dict[SizeName, SyntheticSize] = {
    "demo": SyntheticSize(
        train=SplitSize(
            images=512,
            sequences=320,
            min_frames=8,
            max_frames=36,
            length_skew=8.0,
            subjects=90,
            backgrounds=180,
            objects=80,
        ),
        test=SplitSize(
            images=128,
            sequences=64,
            min_frames=8,
            max_frames=36,
            length_skew=8.0,
            subjects=24,
            backgrounds=48,
            objects=20,
        ),
    ),
    "compact": SyntheticSize(
        train=replace(_SMALL.train, images=20_480, subjects=96, backgrounds=480, objects=160),
        test=_SMALL.test,
    ),
    "small": _SMALL,
    "full": SyntheticSize(
        train=SplitSize(
            images=32_560,
            sequences=628,
            min_frames=60,
            max_frames=150,
            subjects=96,
            backgrounds=480,
            objects=160,
        ),
        test=SplitSize(
            images=3960,
            sequences=110,
            min_frames=60,
            max_frames=150,
            subjects=32,
            backgrounds=120,
            objects=48,
        ),
    ),
}
"""``demo`` is made in about a minute, ``full`` is as large as FreiHAND and HO-3D v2.

What a short training learns about hands that it has not seen depends on the number of subjects,
views and postures, so ``demo`` has many short sequences, and a few that hold the longest clips of
the quaternion sweep. ``compact`` has ``small``'s sequences and test set, and as many pictures as
an hour's training of a small network can use.
"""
