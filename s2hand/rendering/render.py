"""From a mesh, its colours, a light and a camera to an image, with gradients for all of them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from s2hand.geometry.cameras import CameraModel, homogeneous_pixels
from s2hand.rendering import cpu
from s2hand.rendering.lighting import Lighting, shade
from s2hand.rendering.topology import MeshTopology

Backend = Literal["auto", "cpu", "cuda", "pytorch3d"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rendering:
    """What a batch of cameras sees."""

    image: Float[Tensor, "batch 3 height width"]
    """RGB, not clamped."""
    silhouette: Float[Tensor, "batch height width"]
    """Share of each pixel that the mesh covers, 0 to 1."""
    depth_m: Float[Tensor, "batch height width"]
    """Camera-frame z of the nearest face at the pixel's centre, 0 where there is none."""
    face_id: Int[Tensor, "batch height width"]
    """Index of that face, −1 where there is none."""


def render(
    vertices: Float[Tensor, "batch verts 3"],
    topology: MeshTopology,
    albedo: Float[Tensor, "batch points 3"],
    lighting: Lighting,
    intrinsics_px: Float[Tensor, "batch 3 3"],
    *,
    height: int,
    width: int,
    camera: CameraModel = "perspective",
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    near_m: float = 0.01,
    cull_back_faces: bool = False,
    backend: Backend = "auto",
    check_finite: bool = True,
) -> Rendering:
    """Render each mesh with its own light and camera.

    Gradients of image and silhouette reach albedo, light, camera and vertices; at outlines, where
    one surface ends before another, vertices get them through the share of the pixel that each
    covers. The depth has gradients inside faces only.

    Convention:
        OpenCV camera frame, metres; (0, 0) is the centre of the top-left pixel; faces are
        counter-clockwise seen from outside. Lighting as in :func:`s2hand.rendering.shade`.

    Args:
        vertices: Metres, camera frame.
        topology: Faces and edges, the same for every mesh of the batch.
        albedo: Per vertex (interpolated) or per face (constant).
        lighting: One light set-up per mesh.
        intrinsics_px: Camera matrices; see :func:`s2hand.geometry.cameras.homogeneous_pixels` for
            what an orthographic camera's mean.
        height: Rows of the image.
        width: Its columns.
        camera: Perspective or orthographic.
        background: Colour of pixels without a face.
        near_m: What lies nearer to the camera than this is not seen.
        cull_back_faces: Leave faces out that are seen from inside. Without it the inside of an
            open mesh is seen, lit as its outside.
        backend: ``cpu`` (numba), ``cuda`` (Triton), or ``pytorch3d`` where that is installed;
            ``auto`` takes the first two by the device of the vertices.
        check_finite: Refuse NaN and infinity, for which the host waits for a CUDA device. Without
            it all that is drawn of a mesh with such an input is NaN.

    Raises:
        ValueError: If an input is not finite and that is looked for, the inputs differ in batch
            size, precision or device, the mesh does not fit its topology, or the backend cannot be
            used.
    """
    inputs = {"vertices": vertices, "albedo": albedo, "intrinsics_px": intrinsics_px}
    inputs |= {
        f"lighting.{field.name}": getattr(lighting, field.name) for field in fields(lighting)
    }
    _check_inputs(inputs)
    is_finite = _are_finite(inputs)
    if check_finite and not is_finite.all():
        _refuse(inputs)
    _check_sizes(vertices, topology, height, width)
    points = homogeneous_pixels(vertices, intrinsics_px, camera)
    image, silhouette, depth_m, face_id = _choose(backend, vertices.device)(
        points,
        vertices[..., 2],
        shade(vertices, topology, albedo, lighting),
        torch.stack([vertices.new_full((), value) for value in background]),
        topology,
        height=height,
        width=width,
        near_m=near_m,
        cull_back_faces=cull_back_faces,
    )
    if not check_finite:
        image, silhouette, depth_m = (
            seen.where(is_finite.view(-1, *[1] * (seen.ndim - 1)), torch.nan)
            for seen in (image, silhouette, depth_m)
        )
    return Rendering(image=image, silhouette=silhouette, depth_m=depth_m, face_id=face_id)


def _check_inputs(inputs: dict[str, Tensor]) -> None:
    vertices = inputs["vertices"]
    if vertices.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"vertices must be float32 or float64, got {vertices.dtype}")
    for name, tensor in inputs.items():
        if len(tensor) != len(vertices):
            raise ValueError(
                f"{name} must have the batch size of vertices, {len(vertices)}, got {len(tensor)}"
            )
        if (tensor.dtype, tensor.device) != (vertices.dtype, vertices.device):
            raise ValueError(
                f"{name} must be {vertices.dtype} on {vertices.device} like vertices, "
                f"got {tensor.dtype} on {tensor.device}"
            )


def _are_finite(inputs: dict[str, Tensor]) -> Bool[Tensor, "batch"]:
    """Tell of each mesh whether all its inputs are."""
    return torch.stack([t.isfinite().flatten(1).all(dim=1) for t in inputs.values()]).all(dim=0)


def _refuse(inputs: dict[str, Tensor]) -> None:
    wrong = [name for name, tensor in inputs.items() if not tensor.isfinite().all()]
    raise ValueError(
        f"everything that is rendered must be finite, got NaN or infinity in {', '.join(wrong)}"
    )


def _check_sizes(vertices: Tensor, topology: MeshTopology, height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be at least 1, got {height} and {width}")
    if vertices.shape[1] != topology.num_vertices:
        raise ValueError(
            f"vertices must be the {topology.num_vertices} of the topology, "
            f"got {vertices.shape[1]} a mesh"
        )
    if topology.faces.device != vertices.device:
        raise ValueError(
            f"topology must be on {vertices.device} like vertices, got {topology.faces.device}; "
            "use topology.to(device)"
        )


def _choose(backend: Backend, device: torch.device) -> Callable[..., tuple[Tensor, ...]]:
    """Return the backend's ``draw``; only what is asked for is imported."""
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {get_args(Backend)}, got '{backend}'")
    name = device.type if backend == "auto" else backend
    if name == "pytorch3d":
        return _import("pytorch3d", "install it, or use backend='auto'")
    if name != device.type or name not in ("cpu", "cuda"):
        raise ValueError(
            f"backend '{backend}' must match the device of the vertices, got {device}; move them "
            "to a CPU or CUDA device and use backend='auto'"
        )
    return cpu.draw if name == "cpu" else _import("cuda", "install triton, or render on the CPU")


def _import(name: str, remedy: str) -> Callable[..., tuple[Tensor, ...]]:
    try:
        return import_module(f"s2hand.rendering.{name}").draw
    except ModuleNotFoundError as error:
        raise ValueError(f"backend '{name}' needs the package {error.name}: {remedy}") from error
