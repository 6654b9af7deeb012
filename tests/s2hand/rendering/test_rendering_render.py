"""The public function: what it refuses, what it connects, and one picture to look at."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from s2hand.geometry.cameras import homogeneous_pixels
from s2hand.rendering import Lighting, render, shade

PICTURE = Path(__file__).parents[2] / "golden" / "rendering" / "hand.png"
LIGHT = (0.45, 0.65, 1.0, 0.95, 0.9, 1.0, 1.0, 0.95, 0.35, 0.45, 0.8)


def _arguments(scenes, count: int = 1, size: int = 16) -> dict[str, Any]:
    vertices, topology = scenes.hands(count, seed=2)
    return {
        "vertices": vertices.float(),
        "topology": topology,
        "albedo": torch.full((count, 778, 3), 0.5),
        "lighting": Lighting.from_vector(torch.tensor([LIGHT] * count)),
        "intrinsics_px": scenes.camera(size, focal=1.9).float().repeat(count, 1, 1),
        "height": size,
        "width": size,
    }


def test_a_picture_is_light_projection_and_drawing(scenes) -> None:
    arguments = _arguments(scenes, 2)
    # The near plane cuts the hands open, and their insides are left out.
    settings = {"background": (0.1, 0.2, 0.3), "near_m": 0.45}
    seen = render(**arguments, **settings, cull_back_faces=True)
    assert not torch.equal(seen.face_id, render(**arguments, **settings).face_id)
    vertices, topology = arguments["vertices"], arguments["topology"]
    expected = scenes.draw(
        homogeneous_pixels(vertices, arguments["intrinsics_px"]),
        vertices[..., 2],
        shade(vertices, topology, arguments["albedo"], arguments["lighting"]),
        topology, 16, 16, **settings, cull=True,
    )  # fmt: skip
    for one, other in zip(
        (seen.image, seen.silhouette, seen.depth_m, seen.face_id), expected, strict=True
    ):
        assert torch.equal(one, other)
    assert seen.face_id.dtype == torch.int32


def test_brightness_is_not_clamped(scenes) -> None:
    arguments = _arguments(scenes)
    arguments["albedo"] = torch.full((1, 778, 3), 5.0)
    assert render(**arguments).image.max() > 2


def test_an_image_of_one_pixel_is_rendered_in_the_precision_of_the_vertices(scenes) -> None:
    arguments = _arguments(scenes, size=1)
    arguments["lighting"] = Lighting.from_vector(torch.tensor([LIGHT]).double())
    for name in ("vertices", "albedo", "intrinsics_px"):
        arguments[name] = arguments[name].double()
    seen = render(**arguments)
    assert seen.image.shape == (1, 3, 1, 1)
    assert seen.image.dtype == torch.float64
    assert seen.silhouette.item() == 1


def _golden_scene(scenes) -> Tensor:
    """Two hands, one lit per vertex, one per face from a coloured light, in 64 px."""
    arguments = _arguments(scenes, 2, 64)
    shades = torch.linspace(0, 1, 778)[:, None] * torch.tensor([0.05, 0.15, 0.2])
    arguments["albedo"] = (torch.tensor([0.87, 0.67, 0.56]) - shades).repeat(2, 1, 1)
    first = render(**arguments, background=(1.0, 1.0, 1.0)).image[0]
    arguments["albedo"] = torch.full((2, 1538, 3), 0.7)
    light = torch.tensor([[0.4, 0.9, 0.6, 0.7, 1.0, 1.0, 0.8, 0.5, -0.7, 0.3, 0.6]] * 2)
    arguments["lighting"] = Lighting.from_vector(light)
    second = render(**arguments).image[1]
    return torch.cat((first, second), dim=2).permute(1, 2, 0)


def test_the_hand_looks_as_it_did(scenes, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    picture = np.round(_golden_scene(scenes).clamp(0, 1).numpy() * 255).astype(np.uint8)
    if request.config.getoption("--update-golden"):
        PICTURE.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(PICTURE)
    Image.fromarray(picture).save(tmp_path / "hand.png")
    difference = np.abs(picture.astype(int) - np.asarray(Image.open(PICTURE)).astype(int))
    # A few pixels may see another face on a machine that rounds differently.
    assert (difference > 2).mean() < 0.002, f"look at {tmp_path / 'hand.png'}"


def _non_finite(tensor: Tensor) -> Tensor:
    wrong = tensor.clone()
    wrong[0, 0, 0] = float("nan")
    return wrong


WRONG: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "vertices not finite": (
        lambda a: {"vertices": _non_finite(a["vertices"])},
        "must be finite, got NaN or infinity in vertices$",
    ),
    "albedo not finite": (
        lambda a: {"albedo": a["albedo"] / 0},
        "must be finite, got NaN or infinity in albedo$",
    ),
    "light not finite": (
        lambda _: {"lighting": Lighting.from_vector(torch.full((2, 11), float("inf")))},
        r"infinity in lighting\.ambient_intensity, lighting\.directional_intensity",
    ),
    "batch of the albedo": (
        lambda a: {"albedo": a["albedo"][:1]},
        "albedo must have the batch size of vertices, 2, got 1",
    ),
    "batch of the light": (
        lambda _: {"lighting": Lighting.from_vector(torch.ones(3, 11))},
        r"lighting\.ambient_intensity must have the batch size of vertices, 2, got 3",
    ),
    "batch of the camera": (
        lambda a: {"intrinsics_px": a["intrinsics_px"][:1]},
        "intrinsics_px must have the batch size of vertices, 2, got 1",
    ),
    "other precision": (
        lambda a: {"albedo": a["albedo"].double()},
        r"albedo must be torch\.float32 on cpu like vertices, got torch\.float64 on cpu",
    ),
    "half precision": (
        lambda a: {"vertices": a["vertices"].half()},
        r"vertices must be float32 or float64, got torch\.float16",
    ),
    "another mesh": (
        lambda a: {"vertices": a["vertices"][:, :700]},
        "vertices must be the 778 of the topology, got 700 a mesh",
    ),
    "topology elsewhere": (
        lambda a: {"topology": a["topology"].to("meta")},
        r"topology must be on cpu like vertices, got meta; use topology\.to\(device\)",
    ),
    "number of colours": (
        lambda a: {"albedo": a["albedo"][:, :5]},
        r"albedo must be per vertex \(778\) or per face \(1538\), got 5 colours",
    ),
    "no pixels": (
        lambda _: {"height": 0},
        "height and width must be at least 1, got 0 and 16",
    ),
    "no columns": (
        lambda _: {"width": 0},
        "height and width must be at least 1, got 16 and 0",
    ),
    "unknown backend": (
        lambda _: {"backend": "gpu"},
        r"backend must be one of \('auto', 'cpu', 'cuda', 'pytorch3d'\), got 'gpu'",
    ),
    "unknown camera": (
        lambda _: {"camera": "fish"},
        "camera must be perspective or orthographic, got 'fish'",
    ),
    "cuda for tensors on the cpu": (
        lambda _: {"backend": "cuda"},
        "backend 'cuda' must match the device of the vertices, got cpu; move them",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_inputs_are_refused(scenes, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # In tests the shape checker would refuse many of them first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    arguments = _arguments(scenes, 2)
    change, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        render(**(arguments | change(arguments)))


@pytest.mark.parametrize("name", ["vertices", "albedo", "intrinsics_px"])
def test_what_is_not_looked_at_is_drawn_as_nan(scenes, name: str) -> None:
    arguments = _arguments(scenes, 2)
    whole = render(**arguments)
    arguments[name] = _non_finite(arguments[name])
    seen = render(**arguments, check_finite=False)
    for ours, expected in (
        (seen.image, whole.image),
        (seen.silhouette, whole.silhouette),
        (seen.depth_m, whole.depth_m),
    ):
        assert ours[0].isnan().all()
        assert torch.equal(ours[1], expected[1])


@pytest.mark.parametrize(("backend", "package"), [("pytorch3d", "pytorch3d"), ("cuda", "triton")])
def test_a_missing_package_is_named(
    backend: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("cuda", "cuda_kernels", "cuda_device"):
        monkeypatch.delitem(sys.modules, f"s2hand.rendering.{module}", raising=False)
    choose = import_module("s2hand.rendering.render")._choose
    with pytest.raises(ValueError, match=f"backend '{backend}' needs the package {package}"):
        choose(backend, torch.device("cuda"))


@pytest.mark.parametrize("backend", ["auto", "cpu"])
def test_other_devices_have_no_backend(backend: str) -> None:
    choose = import_module("s2hand.rendering.render")._choose
    with pytest.raises(ValueError, match=f"backend '{backend}' must match .*, got mps; move them"):
        choose(backend, torch.device("mps"))


def test_rendering_imports_without_triton() -> None:
    code = (
        "import sys; sys.modules['triton'] = None; import s2hand.rendering; "
        "assert 's2hand.rendering.cuda' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
