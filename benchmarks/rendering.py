"""Time the renderer against a plain one in vectorised torch, and PyTorch3D where installed.

All render the same posed hands, lit per vertex, with gradients to vertices, albedo and light. The
plain renderer tests every pixel of every face's bounding box in one tensor operation and shades
what is seen in autograd; its edges are **not** anti-aliased, so that it does less than the others.
Calls alternate, so that a busy machine slows all alike: believe the ratios, which are medians over
medians. The targets are ratios of 4 to the plain renderer and, on the CPU, of 300 to PyTorch3D,
for forward + backward at batch 8 and 64.

Memory is how far a fresh process's peak grows over one forward + backward.
"""

import argparse
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from s2hand.geometry.cameras import homogeneous_pixels
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.rendering import Lighting, MeshTopology, render, shade

WARM_UP = 2

Renderer = Callable[[list[Tensor], MeshTopology, Tensor, int], tuple[Tensor, Tensor, Tensor]]


class Row(TypedDict):
    """One batch size; milliseconds and megabytes are per image."""

    batch_size: int
    same_faces: float
    forward_ms: dict[str, float]
    forward_backward_ms: dict[str, float]
    peak_growth_mb: dict[str, float]


def main() -> None:
    """Print a table, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--size-px", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [
        measure(batch_size, arguments.size_px, arguments.repeats, arguments.device)
        for batch_size in arguments.batch_sizes
    ]
    if arguments.json:
        settings = {name: getattr(arguments, name) for name in ("threads", "size_px", "device")}
        print(json.dumps({**settings, "torch": torch.__version__, "rows": rows}))
        return
    print(
        f"rendering, {arguments.device}, {arguments.size_px} px, {arguments.threads} threads, "
        "per image: medians in ms, ratio to s2hand, peak memory in MB"
    )
    print(
        f"{'batch':>5}  {'renderer':10}  {'fwd':>8}  {'ratio':>6}  {'fwd+bwd':>8}  {'ratio':>6}",
        end="",
    )
    print(f"  {'memory':>7}")
    for row in rows:
        for name, forward in row["forward_ms"].items():
            both = row["forward_backward_ms"][name]
            print(
                f"{row['batch_size']:>5}  {name:10}  {forward:8.2f}  "
                f"{forward / row['forward_ms']['s2hand']:6.1f}  {both:8.2f}  "
                f"{both / row['forward_backward_ms']['s2hand']:6.1f}  "
                f"{row['peak_growth_mb'][name]:7.1f}"
            )
        print(f"       pixels that see the same face in s2hand and plain: {row['same_faces']:.4%}")


def renderers() -> dict[str, Renderer]:
    """Return what can be compared here as functions of one signature."""

    def package(backend: str) -> Renderer:
        def run(
            inputs: list[Tensor], topology: MeshTopology, intrinsics_px: Tensor, size_px: int
        ) -> tuple[Tensor, Tensor, Tensor]:
            vertices, albedo, light = inputs
            seen = render(
                vertices, topology, albedo, Lighting.from_vector(light), intrinsics_px,
                height=size_px, width=size_px, backend=backend,
            )  # fmt: skip
            return seen.image, seen.silhouette, seen.face_id

        return run

    found = {"s2hand": package("auto"), "plain": plain_render}
    if find_spec("pytorch3d") is not None:
        found["pytorch3d"] = package("pytorch3d")
    return found


def plain_render(
    inputs: list[Tensor], topology: MeshTopology, intrinsics_px: Tensor, size_px: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Render with torch alone: image, silhouette (without gradients) and face ids."""
    vertices, albedo, light = inputs
    colours = shade(vertices, topology, albedo, Lighting.from_vector(light))
    corners = homogeneous_pixels(vertices, intrinsics_px)[:, topology.faces]
    planes = torch.linalg.cross(corners.roll(-1, dims=2), corners.roll(-2, dims=2))
    with torch.no_grad():
        face_id = _visible_faces(corners, planes, size_px)
    image, row, column = (face_id >= 0).nonzero(as_tuple=True)
    face = face_id[image, row, column]
    pixel = torch.stack((column, row, torch.ones_like(row)), dim=-1).to(vertices.dtype)
    values = (planes[image, face] * pixel[:, None]).sum(-1)
    weights = values / values.sum(-1, keepdim=True)
    corner_colours = colours[image[:, None], topology.faces[face]]
    picture = vertices.new_zeros(len(vertices), size_px, size_px, 3)
    picture = picture.index_put((image, row, column), (weights[..., None] * corner_colours).sum(1))
    return picture.permute(0, 3, 1, 2), (face_id >= 0).to(vertices.dtype), face_id


def _visible_faces(corners: Tensor, planes: Tensor, size_px: int) -> Tensor:
    """Return the nearest face of every pixel, from every pixel of every bounding box at once."""
    batch, num_faces = corners.shape[:2]
    screen = corners[..., :2] / corners[..., 2:]
    low = screen.amin(2).ceil().clamp(min=0).long().flatten(0, 1)
    high = screen.amax(2).floor().clamp(max=size_px - 1).long().flatten(0, 1)
    width, height = (high - low + 1).clamp(min=0).unbind(-1)
    counts = width * height
    box = torch.repeat_interleave(torch.arange(len(counts), device=corners.device), counts)
    place = torch.arange(len(box), device=corners.device) - (counts.cumsum(0) - counts)[box]
    column, row = low[box, 0] + place % width[box], low[box, 1] + place // width[box]
    pixel = torch.stack((column, row, torch.ones_like(row)), dim=-1).to(corners.dtype)
    values = (planes.flatten(0, 1)[box] * pixel[:, None]).sum(-1)
    inside = (values >= 0).all(-1) | (values <= 0).all(-1)
    box, values, pixel_id = (
        box[inside],
        values[inside],
        ((box // num_faces * size_px + row) * size_px + column)[inside],
    )
    depth = (values * corners.flatten(0, 1)[box, :, 2]).sum(-1) / values.sum(-1)
    nearest = depth.new_full((batch * size_px**2,), float("inf"))
    nearest.scatter_reduce_(0, pixel_id, depth, "amin")
    first = depth == nearest[pixel_id]
    face_id = box.new_full((batch * size_px**2,), num_faces)
    face_id.scatter_reduce_(0, pixel_id[first], box[first] % num_faces, "amin")
    return torch.where(face_id < num_faces, face_id, -1).view(batch, size_px, size_px)


def scene(
    batch_size: int, size_px: int, device: str
) -> tuple[list[Tensor], MeshTopology, Tensor, list[Tensor]]:
    """Return inputs (vertices, albedo, light), topology, cameras, and gradients to send back."""
    layer = HandLayer(embedded_hand())
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    vertices = layer(
        betas=normal(batch_size, 10),
        global_orient=1.2 * normal(batch_size, 3),
        hand_pose_pca=0.8 * normal(batch_size, 30),
    ).vertices
    middle = (vertices.amin(1, keepdim=True) + vertices.amax(1, keepdim=True)) / 2
    centre = (size_px - 1) / 2
    camera = torch.tensor([[2.1 * size_px, 0, centre], [0, 2.1 * size_px, centre], [0, 0, 1]])
    inputs = [
        vertices - middle + torch.tensor([0.0, 0.0, 0.45]),
        torch.rand(batch_size, 778, 3, generator=generator),
        torch.rand(batch_size, 11, generator=generator),
    ]
    gradients = [normal(batch_size, 3, size_px, size_px), normal(batch_size, size_px, size_px)]
    return (
        [tensor.to(device).requires_grad_() for tensor in inputs],
        MeshTopology.from_faces(layer.faces, 778).to(device),
        camera.expand(batch_size, 3, 3).to(device),
        [tensor.to(device) for tensor in gradients],
    )


def measure(batch_size: int, size_px: int, repeats: int, device: str) -> Row:
    """Time all renderers, forward alone and forward with backward."""
    inputs, topology, cameras, gradients = scene(batch_size, size_px, device)
    compared = renderers()

    def forward(run: Renderer) -> None:
        with torch.no_grad():
            run(inputs, topology, cameras, size_px)

    def both(run: Renderer) -> None:
        forward_backward(run, inputs, topology, cameras, size_px, gradients)

    ids = [compared[name](inputs, topology, cameras, size_px)[2] for name in ("s2hand", "plain")]
    return {
        "batch_size": batch_size,
        "same_faces": (ids[0] == ids[1]).double().mean().item(),
        "forward_ms": _medians(forward, compared, repeats, batch_size, device),
        "forward_backward_ms": _medians(both, compared, repeats, batch_size, device),
        "peak_growth_mb": {
            name: peak_growth_mb(name, batch_size, size_px, device) / batch_size
            for name in compared
        },
    }


def forward_backward(
    run: Renderer,
    inputs: list[Tensor],
    topology: MeshTopology,
    cameras: Tensor,
    size_px: int,
    gradients: list[Tensor],
) -> None:
    """Render and send gradients back, to the silhouette only where it passes them on."""
    image, silhouette, _ = run(inputs, topology, cameras, size_px)
    outputs = [image, silhouette] if silhouette.requires_grad else [image]
    torch.autograd.grad(outputs, inputs, gradients[: len(outputs)])


def _medians(
    call: Callable[[Renderer], None],
    compared: dict[str, Renderer],
    repeats: int,
    batch_size: int,
    device: str,
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in compared}
    for repeat in range(WARM_UP + repeats):
        for name, run in compared.items():
            start = time.perf_counter()
            call(run)
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat >= WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - start) / batch_size)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_growth_mb(name: str, batch_size: int, size_px: int, device: str) -> float:
    """Return the growth of the peak memory of a fresh process, in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grow, (name, batch_size, size_px, device))


def _grow(name: str, batch_size: int, size_px: int, device: str) -> float:
    run = renderers()[name]
    forward_backward(run, *_problem(1, size_px, device))  # loads the compiled code
    problem = _problem(batch_size, size_px, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = _peak_mb(device)
    forward_backward(run, *problem)
    return _peak_mb(device) - before


def _problem(
    batch_size: int, size_px: int, device: str
) -> tuple[list[Tensor], MeshTopology, Tensor, int, list[Tensor]]:
    inputs, topology, cameras, gradients = scene(batch_size, size_px, device)
    return inputs, topology, cameras, size_px, gradients


def _peak_mb(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    # Not getrusage, whose peak a child inherits from its parent.
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) * 1024 / 1e6


if __name__ == "__main__":
    main()
