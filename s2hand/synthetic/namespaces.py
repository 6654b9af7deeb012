"""The namespaces: what each is for, where it lies on disk, which postures are its own.

No subject, background, thing, sequence or posture example belongs to two of them, whatever seeds
they are made with: a namespace's name is part of every random generator, and the hand's examples
are divided once for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Int

from s2hand.hand.model_data import HandModelData
from s2hand.layouts import Split

Namespace = Literal["pretraining", "training", "validation", "test", "in_the_wild"]
NAMESPACES: tuple[Namespace, ...] = ("pretraining", "training", "validation", "test")
"""Those that the hand's posture examples are dealt out to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """How a namespace appears on disk, and its part of the hand's posture examples."""

    folder: str
    """Folder of its set below the root of a size; empty: the root itself."""
    split: Split
    """Which of the official splits it is written as."""
    has_truth: bool
    """Whether the true hand is written, where the official layout has it."""
    posture_share: float = 0.0
    postures_of: Namespace | None = None
    """The namespace whose posture examples it has, where it has none of its own."""


ROLES: Mapping[Namespace, Role] = MappingProxyType(
    {
        "pretraining": Role(folder="", split="train", has_truth=False, posture_share=0.45),
        "training": Role(folder="", split="train", has_truth=True, posture_share=0.25),
        "validation": Role(folder="validation", split="test", has_truth=True, posture_share=0.12),
        "test": Role(folder="", split="test", has_truth=True, posture_share=0.18),
        "in_the_wild": Role(
            folder="in_the_wild", split="train", has_truth=True, postures_of="pretraining"
        ),
    }
)
"""Starting weights are trained on ``pretraining``, rows of tables on ``training``; settings are
chosen on ``validation``; ``test`` is read by final runs alone.

Pretraining has the most postures, as what it learns of hands must be general; test has enough of
them to cover all kinds of grasps (280 examples, and their mixtures), validation, which only ranks
settings, has the fewest. Videos in the wild, which add to a training, have subjects of their own
and the postures of pretraining, which no row's training set and no test has.
"""


def posture_examples(hand: HandModelData, namespace: Namespace) -> Int[np.ndarray, "examples"]:
    """Give the rows of ``hands_coeffs``, the hand's example postures, that are a namespace's own.

    The examples are dealt out in the order of a hash of their numbers, which nothing else enters.
    The embedded hand's are independent draws in no order, without near-duplicates (the closest two
    differ by 3.8° a joint), so that no neighbours need to be kept together.
    """
    count = len(hand.hands_coeffs)
    shares = [ROLES[each].posture_share for each in NAMESPACES]
    ends = np.rint(count * np.cumsum([0.0, *shares])).astype(int)
    owner = ROLES[namespace].postures_of or namespace
    start, end = dict(zip(NAMESPACES, pairwise(ends), strict=True))[owner]
    dealt = sorted(range(count), key=lambda number: sha256(str(number).encode()).digest())
    return np.sort(dealt[start:end])
