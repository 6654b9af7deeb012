"""Using a trained model: hands from images and their cameras."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from s2hand.model import S2Hand
from s2hand.parts import HAND_ALONE, Output
from s2hand.prediction import Prediction

_ROUNDING = 1e-3
"""How far resampling may take colours beyond 0 and 1."""


class Predictor:
    """Predicts with a model, batch by batch, on the device where the model lies."""

    def __init__(self, model: S2Hand) -> None:
        self.model = model

    @property
    def image_size_px(self) -> int:
        """Side of the square images that the model takes."""
        return self.model.config.image_size_px

    @torch.no_grad()
    def predict(
        self,
        images: Shaped[Tensor | np.ndarray, "..."],
        intrinsics_px: Shaped[Tensor | np.ndarray, "..."] | None = None,
        camera_rotation: Shaped[Tensor | np.ndarray, "..."] | None = None,
        *,
        outputs: Collection[Output] = HAND_ALONE,
        batch_size: int = 64,
    ) -> Prediction:
        """Reconstruct one hand per image.

        Leaves the model in evaluation mode.

        Convention:
            Hands are in the frame of the images' cameras, or where ``camera_rotation`` is given
            in the frame that it leads to: OpenCV, metres, OpenPose joint order. The centre of an
            image's top-left pixel is (0, 0).

        Args:
            images: (batch, 3, size, size), RGB, 0 to 1, ``image_size_px`` square, the hand in
                the middle. Shapes are checked here rather than by annotations, so that the error
                says what to do.
            intrinsics_px: (batch, 3, 3), camera matrix of each image as it is given, after crop
                and resize. An orthographic model reads none.
            camera_rotation: (batch, 3, 3), for images of turned cameras (:func:`turned_view
                <s2hand.geometry.cameras.turned_view>`): x_dataset = camera_rotation · x_image.
            outputs: What to predict, of ``model.outputs``.
            batch_size: Images of one forward pass.

        Returns:
            What was asked for, on the CPU.

        Raises:
            ValueError: If the images or cameras are not as said, or the model has no part for an
                output.
        """
        images = _tensor(images)
        if camera_rotation is None:
            camera_rotation = torch.eye(3).expand(len(images), 3, 3)
        cameras = {
            "intrinsics_px": None if intrinsics_px is None else _tensor(intrinsics_px),
            "camera_rotation": _tensor(camera_rotation),
        }
        self._check(images, cameras, outputs)
        inputs = (images, *cameras.values())
        self.model.eval()
        device = next(self.model.parameters()).device
        parts = []
        for start in range(0, len(images), batch_size):
            rows = slice(start, start + batch_size)
            some = (
                None if values is None else values[rows].to(device, torch.float32)
                for values in inputs
            )
            parts.append(_combined(_on_cpu, [self.model(*some, outputs=outputs)]))
        return _joined(parts)

    def _check(
        self,
        images: Tensor,
        cameras: Mapping[str, Tensor | None],
        outputs: Collection[Output],
    ) -> None:
        size = self.image_size_px
        if images.shape[1:] != (3, size, size) or not len(images):
            raise ValueError(
                f"images must have the shape (batch, 3, {size}, {size}) with at least one image, "
                f"got {tuple(images.shape)}; crop and resize them, and their cameras with them"
            )
        if not images.is_floating_point() or not bool(
            ((images >= -_ROUNDING) & (images <= 1 + _ROUNDING)).all()
        ):
            raise ValueError(
                f"images must be floating-point numbers from 0 to 1, got {images.dtype} from "
                f"{float(images.min())} to {float(images.max())}; divide bytes by 255"
            )
        if cameras["intrinsics_px"] is None and self.model.config.projection == "perspective":
            raise ValueError(
                "intrinsics_px must be given: this model projects hands by the images' cameras"
            )
        for name, values in cameras.items():
            if values is not None and values.shape != (len(images), 3, 3):
                raise ValueError(
                    f"{name} must have the shape ({len(images)}, 3, 3), a camera for every image, "
                    f"got {tuple(values.shape)}"
                )
        lacking = set(outputs) - self.model.outputs
        if lacking:
            raise ValueError(
                f"outputs must be of {', '.join(sorted(self.model.outputs))}, got also "
                f"{', '.join(sorted(lacking))}: this model was trained without the losses that "
                "train those parts"
            )


def _tensor(values: Tensor | np.ndarray) -> Tensor:
    if isinstance(values, Tensor):
        return values
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def _joined(parts: list[Prediction]) -> Prediction:
    """Put batches together; keypoints of the 2D branch have the batch second."""
    stacks_px = [part.heatmap_keypoints_px for part in parts]
    rest = [replace(part, heatmap_keypoints_px=None) for part in parts]
    return replace(
        _combined(torch.cat, rest),
        heatmap_keypoints_px=_combined(partial(torch.cat, dim=1), stacks_px),
    )


def _on_cpu(tensors: list[Tensor]) -> Tensor:
    (tensor,) = tensors
    return tensor.cpu()


def _combined(combine: Callable[[list[Tensor]], Tensor], trees: list[Any]) -> Any:
    """Combine the tensors at every place of equal trees of dataclasses."""
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return combine(trees)
    names = [field.name for field in fields(first)]
    return type(first)(
        **{name: _combined(combine, [getattr(tree, name) for tree in trees]) for name in names}
    )
