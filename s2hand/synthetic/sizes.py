"""How much of everything a synthetic benchmark holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from s2hand.synthetic.namespaces import Namespace

SizeName = Literal["demo", "compact", "small", "full", "pretraining"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NamespaceSize:
    """Counts of one namespace."""

    images: int
    """Images of the collection (FreiHAND's layout)."""
    subjects: int
    backgrounds: int
    objects: int
    sequences: int = 0
    """Sequences (HO-3D's layout), in the wild videos (YouTube-3D-Hands')."""
    min_frames: int = 60
    """Fewest annotated frames of a sequence."""
    max_frames: int = 150
    """Most annotated frames of a sequence."""
    length_skew: float = 1.0
    """1: all lengths are equally frequent; more: most sequences are short, few are long."""

    def num_frames(self, generator: np.random.Generator) -> int:
        """Draw the number of annotated frames of one sequence."""
        span = self.max_frames - self.min_frames + 1
        return self.min_frames + int(span * generator.random() ** self.length_skew)


SyntheticSize = Mapping[Namespace, NamespaceSize]
"""Counts of the namespaces that are made together."""

_SMALL_TRAINING = NamespaceSize(images=6400, sequences=64, subjects=48, backgrounds=240, objects=80)
_SMALL_TEST = NamespaceSize(images=800, sequences=16, subjects=16, backgrounds=60, objects=24)
_SMALL_HELD_OUT: SyntheticSize = {"validation": _SMALL_TEST, "test": _SMALL_TEST}

_DEMO_TEST = NamespaceSize(
    images=128,
    sequences=64,
    min_frames=8,
    max_frames=36,
    length_skew=8.0,
    subjects=24,
    backgrounds=48,
    objects=20,
)

SIZES: Mapping[SizeName, SyntheticSize] = MappingProxyType(
    {
        "demo": {
            "training": replace(
                _DEMO_TEST, images=512, sequences=320, subjects=90, backgrounds=180, objects=80
            ),
            "validation": _DEMO_TEST,
            "test": _DEMO_TEST,
        },
        "compact": {
            "training": replace(
                _SMALL_TRAINING, images=20_480, subjects=96, backgrounds=480, objects=160
            ),
            **_SMALL_HELD_OUT,
        },
        "small": {"training": _SMALL_TRAINING, **_SMALL_HELD_OUT},
        "full": {
            "training": NamespaceSize(
                images=32_560, sequences=628, subjects=96, backgrounds=480, objects=160
            ),
            "validation": _SMALL_TEST,
            "test": NamespaceSize(
                images=3960, sequences=110, subjects=32, backgrounds=120, objects=48
            ),
        },
        "pretraining": {
            "pretraining": NamespaceSize(
                images=200_000, subjects=480, backgrounds=1200, objects=400
            ),
        },
    }
)
"""``demo`` is made in about a minute, ``full`` is as large as FreiHAND and HO-3D v2.

What a short training learns about hands that it has not seen depends on the number of subjects,
views and postures, so ``demo`` has many short sequences, and a few that hold the longest clips of
the quaternion sweep. ``compact`` has ``small``'s sequences and test set, and as many pictures as
an hour's training of a small network can use. ``pretraining`` is what starting weights are trained
on: a collection alone, which no row of a table reads.
"""

_SMALL_IN_THE_WILD: SyntheticSize = {
    "in_the_wild": NamespaceSize(images=0, sequences=16, subjects=16, backgrounds=40, objects=1)
}

IN_THE_WILD_SIZES: Mapping[SizeName, SyntheticSize] = MappingProxyType(
    {
        "demo": {
            "in_the_wild": NamespaceSize(
                images=0,
                sequences=32,
                min_frames=12,
                max_frames=48,
                length_skew=4.0,
                subjects=32,
                backgrounds=60,
                objects=1,
            )
        },
        "compact": _SMALL_IN_THE_WILD,
        "small": _SMALL_IN_THE_WILD,
        "full": {
            "in_the_wild": NamespaceSize(
                images=0,
                sequences=102,
                min_frames=150,
                max_frames=280,
                subjects=102,
                backgrounds=200,
                objects=1,
            )
        },
    }
)
"""The videos that belong to a size, a third to a fifth as many frames as its training sequences
(the paper's 21,628 stand beside 66,034). They are a set of their own, made when asked for."""
