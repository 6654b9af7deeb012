"""Predicting the hands of one picture, for ``s2hand predict``; what its videos have in common."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from s2hand.inference import Predictor
from s2hand.photos import read_photo
from s2hand.reconstruction import HandView, PictureHand, cut_out, reconstruct_views
from s2hand_platform.experiments.s2hand.finding import HandFinder, Place
from s2hand_platform.experiments.s2hand.hand_files import (
    Camera,
    SeenHand,
    camera_of,
    hand_row,
    write_picture,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What looks at pictures, where it writes, and what is given of them."""

    predictor: Predictor
    finder: HandFinder
    camera_px: tuple[float, float, float, float] | None
    """fx, fy, cx, cy; None: EXIF's, or a guess."""
    folder: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a picture or a video."""

    name: str
    num_hands: int = 0
    told: str = ""
    faults: Sequence[str] = ()

    def to_plain(self) -> dict[str, Any]:
        """Dump it to JSON's types."""
        return {"name": self.name, "hands": self.num_hands, "faults": list(self.faults)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """Hands of one picture, cut out, by their number or track, and what could not be."""

    views: dict[int, HandView] = field(default_factory=dict)
    places: Mapping[int, Place] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def seen(self, hands: Iterator[PictureHand]) -> dict[int, SeenHand]:
        """Take the reconstructed hands of its views, and leave the rest; NaN is a fault."""
        seen = {}
        for number in self.views:
            hand = next(hands)
            if np.isfinite(hand.vertices).all():
                seen[number] = SeenHand(hand=hand, place=self.places[number])
            else:
                self.faults.append("the model's numbers are not finite")
        return seen


def look(
    setup: Setup,
    picture: UInt8[np.ndarray, "height width 3"],
    camera: Camera,
    places: Mapping[int, Place],
) -> Looked:
    """Cut hands out of a picture; one that cannot be is a fault."""
    looked = Looked(places=places)
    for number, place in places.items():
        try:
            looked.views[number] = cut_out(
                setup.predictor.model,
                picture,
                camera.intrinsics_px,
                box_px=place.box_px,
                is_left=place.is_left,
            )
        except ValueError as error:
            looked.faults.append(str(error))
    return looked


def predict_picture(setup: Setup, path: Path) -> tuple[list[dict[str, Any]], Outcome]:
    """Predict and write the hands of one picture; what fails is told, not raised.

    Returns:
        A row of ``hands.parquet`` for each, and what came of the picture.
    """
    try:
        photo = read_photo(path)
        camera = camera_of(photo.pixels, photo.focal_px, setup.camera_px)
        places = dict(enumerate(setup.finder.find(photo.pixels)))
        looked = look(setup, photo.pixels, camera, places)
        found = reconstruct_views(setup.predictor, list(looked.views.values()))
        seen = list(looked.seen(iter(found)).values())
        if seen:
            write_picture(setup.folder / path.name, photo.pixels, seen, camera, setup.finder)
    except (ValueError, OSError) as error:  # also the errors of s2hand itself
        return [], Outcome(name=path.name, faults=[str(error)])
    rows = [
        hand_row(path.name, number, each, camera, setup.finder) for number, each in enumerate(seen)
    ]
    told = f"{counted(len(seen), 'hand')}; {camera.told}" if places else "no hand found"
    return rows, Outcome(name=path.name, num_hands=len(rows), told=told, faults=looked.faults)


def counted(number: int, what: str) -> str:
    """Say how many there are."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
