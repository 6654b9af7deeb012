"""Evaluation on YouTube-3D-Hands' annotated vertices: in pixels, as its truth has no metres.

References:
    Kulon et al., "Weakly-Supervised Mesh-Convolutional Hand Reconstruction in the Wild", CVPR 2020,
    and the evaluation details that are published with the files: errors in pixels, of vertices in
    three dimensions, without an alignment.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from s2hand.data.files import require_folder
from s2hand.data.youtube3d import present_images
from s2hand.data.youtube3d_files import (
    AnnotatedHand,
    AnnotatedImage,
    AnnotatedSplit,
    list_name,
    read_annotations,
)
from s2hand.errors import DataError
from s2hand.inference import Predictor
from s2hand.keypoints.pictures import read_picture
from s2hand.metrics.image_errors import image_errors_px, mesh_in_pixels
from s2hand.photos import assumed_intrinsics_px
from s2hand.reconstruction import HandView, PictureHand, box_around, cut_out, reconstruct_views

EVALUATOR_ID = "s2hand-annotated/1 root=none depth=mesh-mean pa=similarity+reflection box=vertices"
_BATCH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedEvaluation:
    """Errors of a model on the annotated hands of a split."""

    metrics: dict[str, float]
    """Means over the hands; see ``image_errors_px``."""
    samples: dict[str, Float[np.ndarray, "n"]]
    sample_ids: tuple[str, ...]
    """``VIDEO/FRAME#ID`` of each hand."""
    notes: dict[str, str]
    """What was left out, and what was assumed (subject → text)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """An annotated hand, cut out of its image as it is stored."""

    hand: AnnotatedHand
    view: HandView
    scale: Float[np.ndarray, "2"]
    """Pixels of the stored image for one of the annotated picture, along x and y."""


@dataclass(slots=True)
class _LeftOut:
    images: set[str] = field(default_factory=set)
    hands: int = 0


def evaluate_annotated(
    predictor: Predictor, root: Path, split: AnnotatedSplit
) -> AnnotatedEvaluation:
    """Predict every annotated hand whose image is there, and compare it with its vertices.

    The square around the annotated vertices is looked at, with the room that ``s2hand predict``
    gives to detected points, and the side of the hand is the annotated one. The camera is assumed,
    its focal length the longer side. Errors are in pixels of the picture that was annotated, a left
    hand's in the picture as it is.

    Args:
        predictor: A trained model.
        root: Folder of the set.
        split: Of ``youtube_SPLIT.json``.

    Raises:
        DataError: If the list is missing or damaged, no image of it can be read, or a prediction
            is not finite.
    """
    require_folder(root)
    path = root / list_name(split)
    hands = list(read_annotations(path, with_vertices=True))
    images = present_images(root, dict.fromkeys(hand.image for hand in hands))
    there = [hand for hand in hands if hand.image in images]
    left_out = _LeftOut()
    looked = _look(predictor, there, images, left_out)
    ids: list[str] = []
    parts: dict[str, list[np.ndarray]] = {}
    for batch in _batches(looked):
        found = reconstruct_views(predictor, [seen.view for seen in batch])
        for name, values in _errors(batch, found).items():
            parts.setdefault(name, []).append(values)
        ids += map(_name, batch)
    if not ids:
        raise DataError(
            f"{path}: none of the frames that it lists is there and can be read, as "
            "youtube/VIDEO/video/frames/FRAME.png; docs/datasets.md shows the layout"
        )
    samples = {name: np.concatenate(values) for name, values in parts.items()}
    return AnnotatedEvaluation(
        metrics={name: float(values.mean()) for name, values in samples.items()},
        samples=samples,
        sample_ids=tuple(ids),
        notes=_notes(hands, len(there), left_out),
    )


def _look(
    predictor: Predictor,
    hands: Sequence[AnnotatedHand],
    images: Mapping[AnnotatedImage, Path],
    left_out: _LeftOut,
) -> Iterator[_Seen]:
    """Cut the hands out of their images, each of which is read once if its hands stand together."""
    shown: tuple[Path, np.ndarray] | None = None
    for hand in hands:
        path = images[hand.image]
        if str(path) in left_out.images:
            left_out.hands += 1
            continue
        if shown is None or shown[0] != path:
            try:
                shown = path, read_picture(path)
            except DataError:
                left_out.images.add(str(path))
                left_out.hands += 1
                continue
        picture = shown[1]
        height, width = picture.shape[:2]
        scale = np.array([width, height]) / np.array(hand.image.size_px)
        assert hand.vertices_px is not None
        try:
            view = cut_out(
                predictor.model,
                picture,
                assumed_intrinsics_px(width, height),
                box_px=box_around((hand.vertices_px[:, :2] + 0.5) * scale - 0.5),
                is_left=hand.is_left,
            )
        except ValueError:  # it lies outside its image
            left_out.hands += 1
            continue
        yield _Seen(hand=hand, view=view, scale=scale)


def _batches(seen: Iterable[_Seen]) -> Iterator[list[_Seen]]:
    left = iter(seen)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _errors(batch: Sequence[_Seen], found: Sequence[PictureHand]) -> dict[str, np.ndarray]:
    vertices = np.stack([hand.vertices for hand in found])
    _require_in_front(batch, vertices)
    stored_px = mesh_in_pixels(vertices, np.stack([hand.intrinsics_px for hand in found]))
    scale = np.stack([seen.scale for seen in batch])[:, None]
    annotated_px = np.concatenate(
        [
            (stored_px[..., :2] + 0.5) / scale - 0.5,
            stored_px[..., 2:] / scale.mean(axis=2)[..., None],
        ],
        axis=-1,
    )
    truth = [seen.hand.vertices_px for seen in batch]
    return image_errors_px(annotated_px, np.stack([each for each in truth if each is not None]))


def _require_in_front(batch: Sequence[_Seen], vertices: Float[np.ndarray, "n 778 3"]) -> None:
    wrong = ~(np.isfinite(vertices).all(axis=2) & (vertices[..., 2] > 0)).all(axis=1)
    if wrong.any():
        first = batch[int(np.argmax(wrong))]
        raise DataError(
            "predicted vertices must be finite and in front of the camera, got others for "
            f"{int(wrong.sum())} of {len(batch)} hands, such as {_name(first)}"
        )


def _name(seen: _Seen) -> str:
    return f"{seen.hand.image.video}/{seen.hand.image.frame}#{seen.hand.id}"


def _notes(hands: Sequence[AnnotatedHand], num_there: int, left_out: _LeftOut) -> dict[str, str]:
    notes = {
        "camera": "not known: a focal length of the longer side is assumed",
        "truth": "a hand model fitted to OpenPose's detections by the set's authors, who suggest "
        "it for comparing one's own results",
    }
    if missing := len(hands) - num_there:
        notes["missing images"] = f"{missing:,} of {len(hands):,} annotated hands are left out"
    if left_out.hands:
        notes["unreadable"] = (
            f"{left_out.hands:,} hands are left out: their image cannot be decoded "
            f"({len(left_out.images):,} images), or they lie outside it"
        )
    return notes
