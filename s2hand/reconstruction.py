"""Hands from pictures of any size: cut out as the model knows hands, then put back in place."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from s2hand.geometry.cameras import (
    CameraView,
    affine_view,
    crop_affine,
    transform_keypoints,
    turned_view,
)
from s2hand.geometry.mirroring import (
    mirror_boxes,
    mirror_intrinsics,
    mirror_pixels,
    mirror_points,
)
from s2hand.inference import Predictor
from s2hand.keypoints.hands import UNKNOWN_SIDE, FoundHand
from s2hand.model import S2Hand, placed_by_camera
from s2hand.prediction import Appearance, HandPrediction

ROOM = 1.5
"""Side of what is looked at, in extents of the points that a detector found: of the factors tried,
the one at which the project's own model was the least off (docs/predict.md)."""

_GREY = 0.8
"""Colour of hands whose model has no texture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureHand:
    """A hand in a picture.

    Convention:
        The picture's own camera and pixels: OpenCV frame, metres, (0, 0) the centre of the
        top-left pixel, OpenPose joint order. A left hand is a left hand in all but ``parameters``.
    """

    vertices: Float[np.ndarray, "778 3"]
    joints: Float[np.ndarray, "21 3"]
    keypoints_px: Float[np.ndarray, "21 2"]
    faces: Int[np.ndarray, "1538 3"]
    """Counter-clockwise seen from outside."""
    colours: Float[np.ndarray, "778 3"]
    """Colour of the skin without light, 0 to 1; grey where the model has no texture."""
    is_left: bool
    parameters: HandPrediction
    """Of one hand, a right one: for a left hand, of the mirrored picture."""
    intrinsics_px: Float[np.ndarray, "3 3"]
    box_px: Float[np.ndarray, "4"]
    """The square that was looked at: (x0, y0, x1, y1)."""
    crop: UInt8[np.ndarray, "size size 3"]
    """What the model saw of it, a left hand mirrored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandView:
    """A hand cut out of its picture for the model; a left hand's picture and camera mirrored."""

    crop: UInt8[np.ndarray, "size size 3"]
    camera: CameraView
    is_left: bool
    picture_width: int
    intrinsics_px: Float[np.ndarray, "3 3"]
    """The picture's own."""
    box_px: Float[np.ndarray, "4"]
    """The square in the picture."""


def reconstruct(
    predictor: Predictor,
    picture: UInt8[np.ndarray, "height width 3"],
    intrinsics_px: Float[np.ndarray, "3 3"],
    *,
    box_px: tuple[float, float, float, float] | None = None,
    is_left: bool = False,
) -> PictureHand:
    """Reconstruct the hand in a box of a picture.

    Args and errors are those of :func:`cut_out`; this is that and :func:`reconstruct_views`.
    """
    view = cut_out(predictor.model, picture, intrinsics_px, box_px=box_px, is_left=is_left)
    return reconstruct_views(predictor, [view])[0]


def reconstruct_found(
    predictor: Predictor,
    picture: UInt8[np.ndarray, "height width 3"],
    intrinsics_px: Float[np.ndarray, "3 3"],
    found: Sequence[FoundHand],
) -> list[PictureHand]:
    """Reconstruct the hands that a detector found in a picture, each of the side that it says.

    Raises:
        ValueError: As of :func:`cut_out`, or if no point of a hand was found.
    """
    views = [
        cut_out(
            predictor.model,
            picture,
            intrinsics_px,
            box_px=box_of(hand),
            is_left=hand.right < UNKNOWN_SIDE,
        )
        for hand in found
    ]
    return reconstruct_views(predictor, views)


def box_of(found: FoundHand) -> tuple[float, float, float, float]:
    """Return the square around a detected hand's points, with the room that the model knows.

    Raises:
        ValueError: If no point of it was found.
    """
    points_px = found.keypoints_px[found.confidence > 0].astype(np.float64)
    if not len(points_px):
        raise ValueError("a hand must have a point with a confidence above 0, got none")
    return box_around(points_px)


def box_around(points_px: Float[np.ndarray, "points 2"]) -> tuple[float, float, float, float]:
    """Return the square around a hand's points, with the room that the model knows."""
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    centre, reach = (low + high) / 2, max(1.0, ROOM * float((high - low).max())) / 2
    x0, y0, x1, y1 = np.concatenate((centre - reach, centre + reach)).tolist()
    return x0, y0, x1, y1


def cut_out(
    model: S2Hand,
    picture: UInt8[np.ndarray, "height width 3"],
    intrinsics_px: Float[np.ndarray, "3 3"],
    *,
    box_px: tuple[float, float, float, float] | None = None,
    is_left: bool = False,
) -> HandView:
    """Cut the hand in a box out of a picture, as the model wants to see it.

    A left hand is mirrored, picture and camera: x ↦ width − 1 − x.

    Args:
        model: What will look at it.
        picture: RGB.
        intrinsics_px: The picture's camera matrix.
        box_px: (x0, y0, x1, y1), the hand in its middle, with room around it as in the pictures
            that the model was trained on; made square about its centre, black outside the
            picture. None: the whole picture.
        is_left: Whether it is a left hand.

    Raises:
        ValueError: If the box has no area, lies outside the picture, or reaches behind the camera;
            or if the camera matrix is none.
    """
    height, width = picture.shape[:2]
    box = _square(box_px or (-0.5, -0.5, width - 0.5, height - 0.5), width, height)
    _require_camera(intrinsics_px)
    seen, camera, seen_box = picture, np.asarray(intrinsics_px, np.float64), box
    if is_left:
        seen = picture[:, ::-1]
        camera, seen_box = mirror_intrinsics(camera, width), mirror_boxes(box, width)
    view = _view(model, torch.from_numpy(camera), torch.from_numpy(seen_box))
    return HandView(
        crop=_resampled(seen, view, seen_box, model.config.image_size_px),
        camera=view,
        is_left=is_left,
        picture_width=width,
        intrinsics_px=np.asarray(intrinsics_px, np.float64),
        box_px=box,
    )


def reconstruct_views(
    predictor: Predictor, views: Sequence[HandView], *, batch_size: int = 64
) -> list[PictureHand]:
    """Reconstruct hands that were cut out, of one picture or of many, in batches.

    A model that reads no camera sees the hand by scaling alone: its keypoints are where it saw
    them, and the hand is put where the picture's camera sees it at about this place and size.

    Args:
        predictor: A trained model, the one that they were cut out for.
        views: Of :func:`cut_out`.
        batch_size: Hands of one forward pass.
    """
    if not views:
        return []
    cameras = (
        torch.stack([view.camera.intrinsics_px for view in views]).float(),
        torch.stack([view.camera.rotation for view in views]).float(),
    )
    prediction = predictor.predict(
        torch.from_numpy(np.stack([view.crop for view in views])).permute(0, 3, 1, 2) / 255,
        *cameras,
        outputs=predictor.model.outputs & {"hand", "appearance"},
        batch_size=batch_size,
    )
    hand = prediction.hand
    assert hand is not None
    if predictor.model.config.projection == "orthographic":
        hand = placed_by_camera(hand, *cameras, predictor.image_size_px)
    faces = predictor.model.hand_layer.faces.cpu().numpy()
    colours = _colours(prediction.appearance, faces, len(views))
    return [_put_back(view, _row(hand, row), faces, colours[row]) for row, view in enumerate(views)]


def _row(hands: HandPrediction, row: int) -> HandPrediction:
    names = [field.name for field in fields(hands)]
    return HandPrediction(**{name: getattr(hands, name)[row : row + 1] for name in names})


def _put_back(
    view: HandView,
    hand: HandPrediction,
    faces: Int[np.ndarray, "1538 3"],
    colours: Float[np.ndarray, "778 3"],
) -> PictureHand:
    """Return a hand in its picture's own frame and pixels; what was mirrored is mirrored back."""
    keypoints_px = transform_keypoints(
        hand.projected_keypoints_px.double(), torch.linalg.inv(view.camera.pixel_map)[None]
    )[0].numpy()
    vertices, joints = hand.vertices[0].double().numpy(), hand.joints[0].double().numpy()
    if view.is_left:
        vertices, joints = mirror_points(vertices), mirror_points(joints)
        keypoints_px = mirror_pixels(keypoints_px, view.picture_width)
        faces = np.ascontiguousarray(faces[:, ::-1])
    return PictureHand(
        vertices=vertices,
        joints=joints,
        keypoints_px=keypoints_px,
        faces=faces,
        colours=colours,
        is_left=view.is_left,
        parameters=hand,
        intrinsics_px=view.intrinsics_px,
        box_px=view.box_px,
        crop=view.crop,
    )


def _square(
    box_px: tuple[float, float, float, float], width: int, height: int
) -> Float[np.ndarray, "4"]:
    x0, y0, x1, y1 = box_px
    if not (np.isfinite(box_px).all() and x1 - x0 >= 1 and y1 - y0 >= 1):
        raise ValueError(
            f"a box must be x0,y0,x1,y1 and at least a pixel wide and high, got {box_px}"
        )
    if x1 <= -0.5 or y1 <= -0.5 or x0 >= width - 0.5 or y0 >= height - 0.5:
        raise ValueError(f"a box must lie in the picture of {width}×{height} px, got {box_px}")
    centre, reach = np.array([x0 + x1, y0 + y1]) / 2, max(x1 - x0, y1 - y0) / 2
    return np.concatenate((centre - reach, centre + reach))


def _require_camera(intrinsics_px: Float[np.ndarray, "3 3"]) -> None:
    is_camera = (
        np.isfinite(intrinsics_px).all()
        and intrinsics_px[0, 0] > 0
        and intrinsics_px[1, 1] > 0
        and not intrinsics_px[1, 0]
        and np.array_equal(intrinsics_px[2], [0, 0, 1])
    )
    if not is_camera:
        raise ValueError(
            "a camera matrix must be [[fx, s, cx], [0, fy, cy], [0, 0, 1]] of finite numbers with "
            f"fx and fy above 0, got {intrinsics_px.tolist()}"
        )


def _view(
    model: S2Hand, intrinsics_px: Float[Tensor, "3 3"], box_px: Float[Tensor, "4"]
) -> CameraView:
    size_px = model.config.image_size_px
    if model.config.frame == "turned_camera":
        return turned_view(intrinsics_px, box_px, size_px)
    return affine_view(intrinsics_px, crop_affine(box_px, size_px))


def _resampled(
    picture: UInt8[np.ndarray, "height width 3"],
    view: CameraView,
    box_px: Float[np.ndarray, "4"],
    size_px: int,
) -> UInt8[np.ndarray, "size size 3"]:
    """Resample the view's picture; a box larger than that is first shrunk, with smoothing."""
    height, width = picture.shape[:2]
    scale = min(1.0, size_px / (box_px[2] - box_px[0]))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(np.ascontiguousarray(picture))
    if small != (width, height):
        image = image.resize(small, Image.Resampling.BILINEAR)
    # Pillow counts from the outer corner of the top-left pixel.
    shrink = np.diag([small[0] / width, small[1] / height, 1])
    to_picture = shrink @ _shift(0.5) @ np.linalg.inv(view.pixel_map.numpy()) @ _shift(-0.5)
    corners = np.array([[0, 0, 1], [size_px, 0, 1], [0, size_px, 1], [size_px, size_px, 1]])
    if not (corners @ to_picture[2] > 0).all():
        raise ValueError(
            f"a box must lie in front of its camera, got one of {box_px[2] - box_px[0]:.0f} px "
            "that reaches beyond its horizon; give a smaller box or the camera's focal length"
        )
    coefficients = (to_picture / to_picture[2, 2]).ravel()[:8].tolist()
    return np.asarray(
        image.transform(
            (size_px, size_px), Image.Transform.PERSPECTIVE, coefficients,
            Image.Resampling.BILINEAR,
        )
    )  # fmt: skip


def _shift(by: float) -> Float[np.ndarray, "3 3"]:
    return np.array([[1, 0, by], [0, 1, by], [0, 0, 1.0]])


def _colours(
    appearance: Appearance | None, faces: Int[np.ndarray, "1538 3"], num_hands: int
) -> Float[np.ndarray, "hands 778 3"]:
    """Return a colour for each vertex, of a model of faces the mean of those around it."""
    num_vertices = faces.max() + 1
    if appearance is None:
        return np.full((num_hands, num_vertices, 3), _GREY)
    albedo = appearance.albedo.double().clamp(0, 1).numpy()
    if albedo.shape[1] != len(faces):
        return albedo
    corners = faces.ravel()
    total = np.zeros((num_vertices, num_hands, 3))
    np.add.at(total, corners, np.repeat(albedo, 3, axis=1).swapaxes(0, 1))
    return (total / np.bincount(corners)[:, None, None]).swapaxes(0, 1)
