"""For tests of what pictures are asked to show: nothing is painted."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from s2hand.synthetic import NamespaceSize
from s2hand.synthetic.body import Person
from s2hand.synthetic.made_when_used import MadeWhenUsed
from s2hand.synthetic.namespaces import Namespace
from s2hand.synthetic.picture import Exposure, Picture
from s2hand.synthetic.scene import PlacedThing, Scene
from s2hand.synthetic.stage import Stage, build_stage


class Taken(NamedTuple):
    """What ``take_picture`` is asked to show."""

    stage: Stage
    person: Person
    exposure: Exposure
    scene: Scene
    things: list[tuple[PlacedThing, PlacedThing]]
    intrinsics_px: np.ndarray
    size: tuple[int, int]
    noise_seed: int


def picture_of(taken: Taken) -> Picture:
    """Give a grey picture; a joint's number says how it is seen."""
    moments = taken.exposure.joints @ taken.intrinsics_px.T
    places = moments[..., :2] / moments[..., 2:]
    return Picture(
        pixels=np.full((taken.size[1], taken.size[0], 3), 128, np.uint8),
        truth_px=places[1],
        visibility=np.arange(21) % 3,
        blur_px=places[2] - places[0],
    )


def bare_stage(namespace: Namespace, side_px: int) -> Stage:
    """Build a stage with three people without skin, before nothing, and three things."""

    def person(index: int) -> Person:
        betas = np.random.default_rng(index).normal(size=10)
        return Person(
            betas=betas, texels=np.zeros((1, 1, 5), np.uint8), gloss=1.0, brightness=0.3
        )  # fmt: skip

    size = NamespaceSize(images=1, sequences=1, subjects=3, backgrounds=2, objects=3)
    return replace(
        build_stage(namespace, size, 0, side_px),
        people=MadeWhenUsed(3, person),
        backgrounds=MadeWhenUsed(2, lambda _: np.zeros((192, 192, 3), np.uint8)),
    )


class Chances(np.random.Generator):
    """Draws given chances, then what a generator draws."""

    def __init__(self, *chances: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.chances = list(chances)

    def random(self, *arguments: Any, **options: Any) -> Any:
        return self.chances.pop(0) if self.chances else super().random(*arguments, **options)
