"""How much of everything a synthetic benchmark holds."""

from dataclasses import dataclass
from typing import Literal

SizeName = Literal["demo", "small", "full"]
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


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSize:
    """Counts of a whole benchmark."""

    train: SplitSize
    test: SplitSize

    def split(self, name: Split) -> SplitSize:
        """Give the counts of one split."""
        return self.train if name == "train" else self.test


SIZES: dict[SizeName, SyntheticSize] = {
    "demo": SyntheticSize(
        train=SplitSize(
            images=640,
            sequences=160,
            min_frames=18,
            max_frames=24,
            subjects=80,
            backgrounds=200,
            objects=80,
        ),
        test=SplitSize(
            images=128,
            sequences=40,
            min_frames=18,
            max_frames=24,
            subjects=20,
            backgrounds=48,
            objects=20,
        ),
    ),
    "small": SyntheticSize(
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
    ),
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
"""``demo`` is made in under a minute, ``full`` is as large as FreiHAND and HO-3D v2."""
