"""A trained model as an ONNX file, for programs without PyTorch."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from s2hand import __version__
from s2hand.errors import S2HandError
from s2hand.files import whole_file
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.hand.embedded import embedded_hand
from s2hand.model import S2Hand

INPUTS = ("images", "camera_rotation", "intrinsics_px")
OUTPUTS = ("vertices", "joints", "keypoints_px", "rotations")
"""Names in the file; their arguments and values are those of :class:`HandGraph`. The file of an
orthographic model has no ``intrinsics_px``."""

_EXAMPLE_BATCH = 3
"""Images that the model is traced with; a batch of one would be taken for a constant."""


class ExportError(S2HandError, RuntimeError):
    """A model that cannot be written as ONNX here."""


class HandGraph(nn.Module):
    """The model's hand as a function of arrays alone, in single precision."""

    def __init__(self, model: S2Hand) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        images: Float[Tensor, "batch 3 size size"],
        camera_rotation: Float[Tensor, "batch 3 3"],
        intrinsics_px: Float[Tensor, "batch 3 3"] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return vertices and joints in metres, keypoints in pixels, and rotations.

        Rotations are (batch, 16, 3, 3): of the whole hand, then of the 15 joints in MANO's order,
        each relative to its parent, the mean pose included.
        """
        with _AnyBatch():
            hand = self.model(images, intrinsics_px, camera_rotation).hand
        axis_angles = torch.cat((hand.global_orient[:, None], hand.hand_pose), dim=1)
        rotations = axis_angle_to_matrix(axis_angles)
        return hand.vertices, hand.joints, hand.projected_keypoints_px, rotations


class _AnyBatch(TorchFunctionMode):
    """Puts ``gather`` in the place of ``take_along_dim``, which would fix the batch's size."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not torch.Tensor.take_along_dim:
            return func(*args, **kwargs)
        values, indices = args
        shape = list(values.shape)
        shape[kwargs["dim"]] = indices.shape[kwargs["dim"]]
        return values.gather(kwargs["dim"], indices.expand(shape))


def is_free(model: S2Hand) -> bool:
    """Say whether a model's hand may be passed on: the embedded hand is the project's own."""
    return model.hand_fingerprint == embedded_hand().fingerprint


def export_onnx(model: S2Hand, path: Path) -> None:
    """Write a model's hand as one ONNX file, for batches of any size.

    The metadata hold ``s2hand`` (the version), ``hand_model`` (``embedded`` or ``MANO``),
    ``hand_fingerprint``, ``image_size_px`` and ``projection``. Leaves the model on the CPU, in
    evaluation mode and in single precision.

    Raises:
        ExportError: If the packages of the extra ``onnx`` are missing.
        OSError: If the file cannot be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - what torch writes the graph with
    except ModuleNotFoundError as error:
        raise ExportError(
            f"writing ONNX needs the package {error.name}: pip install 's2hand[onnx]'"
        ) from error
    model.precision = "float32"
    size_px = model.config.image_size_px
    straight = torch.eye(3).repeat(_EXAMPLE_BATCH, 1, 1)
    camera = straight * torch.tensor([size_px, size_px, 1.0])
    reads_camera = model.config.projection == "perspective"
    example: tuple[Tensor, ...] = (torch.rand(_EXAMPLE_BATCH, 3, size_px, size_px), straight)
    example += (camera,) if reads_camera else ()
    names = INPUTS[: len(example)]
    any_batch = {0: torch.export.Dim("batch")}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own parts
        program = torch.onnx.export(
            HandGraph(model.cpu()).eval(),
            example,
            dynamo=True,
            verbose=False,
            input_names=names,
            output_names=OUTPUTS,
            dynamic_shapes=(any_batch,) * len(names),
        )
    assert program is not None
    written = program.model_proto
    told = {
        "s2hand": __version__,
        "hand_model": "embedded" if is_free(model) else "MANO",
        "hand_fingerprint": model.hand_fingerprint,
        "image_size_px": str(size_px),
        "projection": model.config.projection,
    }
    onnx.helper.set_model_props(written, told)
    with whole_file(path) as file:
        file.write(written.SerializeToString())
