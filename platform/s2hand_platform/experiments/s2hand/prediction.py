"""Predicting the hands of pictures, for ``s2hand predict``; what its videos have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from s2hand.inference import Predictor
from s2hand.photos import Photo, read_photo
from s2hand.reconstruction import HandView, PictureHand, cut_out, reconstruct_views
from s2hand_platform.experiments.s2hand.finding import HandFinder, Place
from s2hand_platform.experiments.s2hand.hand_files import (
    Camera,
    SeenHand,
    camera_of,
    hand_row,
    write_picture,
)

Item = TypeVar("Item")
_BATCH_PICTURES, _BATCH_PIXELS = 32, 64_000_000
"""Pictures in memory at once, at most: 30 of full HD, 7 of 4K."""


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


def batches(items: Iterable[Item], num_pixels: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Put together what is predicted at once: as many as memory is meant to hold, at least one.

    Args:
        items: Pictures, or what holds one.
        num_pixels: Of an item.
    """
    batch: list[Item] = []
    total = 0
    for item in items:
        more = num_pixels(item)
        if batch and (len(batch) == _BATCH_PICTURES or total + more > _BATCH_PIXELS):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += more
    if batch:
        yield batch


@dataclass(frozen=True, kw_only=True, slots=True)
class _Opened:
    """A picture in which hands were looked for."""

    name: str
    photo: Photo
    camera: Camera
    looked: Looked


def predict_pictures(
    setup: Setup, paths: Sequence[Path]
) -> Iterator[tuple[list[dict[str, Any]], Outcome]]:
    """Predict and write the hands of pictures, many in a batch; what fails is told, not raised.

    Yields:
        Of each picture, in their order: a row of ``hands.parquet`` for each hand, and what came
        of it.
    """

    def num_pixels(opened: _Opened | Outcome) -> int:
        return opened.photo.pixels[..., 0].size if isinstance(opened, _Opened) else 0

    for batch in batches((_open(setup, path) for path in paths), num_pixels):
        looked = [opened.looked for opened in batch if isinstance(opened, _Opened)]
        views = [view for each in looked for view in each.views.values()]
        hands = iter(reconstruct_views(setup.predictor, views))
        for opened in batch:
            yield ([], opened) if isinstance(opened, Outcome) else _write(setup, opened, hands)


def _open(setup: Setup, path: Path) -> _Opened | Outcome:
    try:
        photo = read_photo(path)
        camera = camera_of(photo.pixels, photo.focal_px, setup.camera_px)
        places = dict(enumerate(setup.finder.find(photo.pixels)))
        looked = look(setup, photo.pixels, camera, places)
    except (ValueError, OSError, RuntimeError) as error:  # also s2hand's own, and a detector's
        return Outcome(name=path.name, faults=[str(error)])
    return _Opened(name=path.name, photo=photo, camera=camera, looked=looked)


def _write(
    setup: Setup, opened: _Opened, hands: Iterator[PictureHand]
) -> tuple[list[dict[str, Any]], Outcome]:
    """Take a picture's hands from those of its batch, and write them."""
    name, camera, looked = opened.name, opened.camera, opened.looked
    seen = list(looked.seen(hands).values())
    try:
        if seen:
            write_picture(setup.folder / name, opened.photo.pixels, seen, camera, setup.finder)
    except (ValueError, OSError) as error:
        return [], Outcome(name=name, faults=[str(error)])
    rows = [hand_row(name, number, each, camera, setup.finder) for number, each in enumerate(seen)]
    told = f"{counted(len(seen), 'hand')}; {camera.told}" if looked.places else "no hand found"
    return rows, Outcome(name=name, num_hands=len(rows), told=told, faults=looked.faults)


def counted(number: int, what: str) -> str:
    """Say how many there are."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
