"""YouTube-3D-Hands' own files: which hands of which frames of which videos were annotated.

References:
    Kulon et al., "Weakly-Supervised Mesh-Convolutional Hand Reconstruction in the Wild", CVPR 2020,
    and the description of the files that is published with them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from s2hand.data.files import finite_numbers, refuse_dangling
from s2hand.errors import DataError
from s2hand.files import what_lies_at

AnnotatedSplit = Literal["train", "val", "test"]
"""Splits as their files are called; ``test`` and ``val`` are of other people than ``train``."""
_NAME = re.compile(r"youtube/([^/\x00]+)/video/frames/(\d{1,18})\.\w+")
_SPACE = re.compile(r"[ \t\n\r]*")
_MOST_PX = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedImage:
    """A frame of a video that has annotated hands."""

    video: str
    frame: str
    """The number that the decoder counted, as the name of its image spells it."""
    size_px: tuple[int, int]
    """Width and height of the picture that was annotated; a later download may be of another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedHand:
    """A hand in an image."""

    id: int
    image: AnnotatedImage
    is_left: bool
    vertices_px: Float32[np.ndarray, "778 3"] | None
    """x and y in pixels of the annotated picture, z in the same unit, in MANO's order; None where
    they are not asked for."""


def list_name(split: AnnotatedSplit) -> str:
    """Return the name of a split's file."""
    return f"youtube_{split}.json"


def read_annotations(path: Path, *, with_vertices: bool) -> Iterator[AnnotatedHand]:
    """Read the annotated hands of a split, one after the other.

    The training split's vertices are two gigabytes of text: each hand's are let go before the
    next are read.

    Args:
        path: ``youtube_train.json`` or another split's.
        with_vertices: Whether vertices are kept; without, they are not looked at.

    Raises:
        DataError: If the file is missing, truncated, or an entry is not what it must be.
    """
    images: dict[int, AnnotatedImage] = {}
    hands: list[dict[str, Any]] = []
    count = 0
    for key, number, entry in _entries(path):
        where = f"{path}: entry {number} of '{key}'"
        if key == "images":
            found = _int(entry, "id", where)
            if found in images:
                raise DataError(f"{where}: an image's id must be its own, {found} occurs twice")
            images[found] = _image(entry, where)
        elif key == "annotations" and images:
            count += 1
            yield _hand(entry, images, with_vertices, where)
        elif key == "annotations":  # they stand before the images
            hands.append(entry)
    for number, entry in enumerate(hands):
        yield _hand(entry, images, with_vertices, f"{path}: entry {number} of 'annotations'")
    if not (count or hands):
        raise DataError(
            f"{path}: must hold lists 'images' and 'annotations' with at least one hand, got none"
        )


def _entries(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Read the entries of all lists of the object that a JSON file holds, one by one."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        yield from _elements(text)
    except FileNotFoundError as error:
        refuse_dangling(path)
        raise DataError(
            f"{path}: annotation file is missing, there is {what_lies_at(path)}; "
            "docs/datasets.md says where to ask for it"
        ) from error
    except DataError:
        raise
    except (OSError, ValueError, IndexError, RecursionError) as error:
        raise DataError(
            f"{path}: must be a complete JSON file with lists 'images' and 'annotations', could "
            f"not be read: {error}; there is {what_lies_at(path)}: download it again"
        ) from error


def _elements(text: str) -> Iterator[tuple[str, int, Any]]:
    decode = json.JSONDecoder().raw_decode
    at = _past(text, 0, "{")
    while True:
        key, at = decode(text, at)
        at = _past(text, at, ":")
        if text[at] == "[":
            at, number = _past(text, at, "["), 0
            while text[at] != "]":
                element, at = decode(text, at)
                yield str(key), number, element
                number += 1
                at = _skip(text, at)
                if text[at] != "]":
                    at = _past(text, at, ",")
            at += 1
        else:
            _, at = decode(text, at)
        at = _skip(text, at)
        if text[at] == "}":
            return
        at = _past(text, at, ",")


def _past(text: str, at: int, mark: str) -> int:
    """Return the place of what follows a mark."""
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(f"{mark!r} is missing at character {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()


def _image(entry: Any, where: str) -> AnnotatedImage:
    name = entry.get("name")
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None or found[1] in {".", ".."}:
        raise DataError(f"{where}: name must be youtube/VIDEO/video/frames/FRAME.png, got {name!r}")
    width, height = (_int(entry, side, where) for side in ("width", "height"))
    if not (0 < width <= _MOST_PX and 0 < height <= _MOST_PX):
        raise DataError(f"{where}: width and height must be pixels, got {width} and {height}")
    return AnnotatedImage(video=found[1], frame=found[2], size_px=(width, height))


def _hand(
    entry: Any,
    images: dict[int, AnnotatedImage],
    with_vertices: bool,  # noqa: FBT001
    where: str,
) -> AnnotatedHand:
    image_id = _int(entry, "image_id", where)
    if image_id not in images:
        raise DataError(f"{where}: image_id must be the id of an image, got {image_id}")
    is_left = entry.get("is_left")
    if is_left not in (0, 1) or isinstance(is_left, float):
        raise DataError(f"{where}: is_left must be 0 or 1, got {is_left!r}")
    vertices_px = None
    if with_vertices:
        vertices_px = finite_numbers(entry.get("vertices"), (778, 3), f"{where}: vertices")
    return AnnotatedHand(
        id=_int(entry, "id", where),
        image=images[image_id],
        is_left=bool(is_left),
        vertices_px=vertices_px,
    )


def _int(entry: Any, name: str, where: str) -> int:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where} must be an object with a whole number '{name}', got {value!r}")
    return value
