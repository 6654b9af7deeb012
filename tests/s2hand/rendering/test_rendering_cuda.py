"""The kernels of the CUDA backend, interpreted and compiled without a GPU, and run where one is.

The CPU backend, which shares no code with it, is what it is compared with.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from interpreted_drawing import Scene, draw_scene
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from s2hand.geometry.cameras import CameraModel, homogeneous_pixels
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.hand.embedded import embedded_hand
from s2hand.rendering import MeshTopology, cpu

triton = pytest.importorskip("triton", reason="needs triton (the development extra)")

SCRIPT = Path(__file__).parent / "interpreted_drawing.py"
LAUNCHES = Path(__file__).parent / "launched_drawing.py"
KERNELS = (
    "bound_faces",
    "compose",
    "differentiate_blend",
    "differentiate_crossings",
    "differentiate_faces",
    "find_crossings",
    "find_nearest",
    "gather_shares",
)


def scene(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    height: int,
    width: int,
    focal_px: float,
    camera: CameraModel = "perspective",
    per_face: bool = False,
    cull_back_faces: bool = False,
) -> Scene:
    """Give a mesh random colours, and its drawing random gradients."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.tensor(vertices, dtype=torch.float32)
    intrinsics = torch.tensor(
        [[focal_px, 0, width / 2 - 0.8], [0, focal_px, height / 2 - 0.1], [0, 0, 1]]
    ).expand(len(batch), 3, 3)
    num_colours = len(faces) if per_face else batch.shape[1]
    return {
        "points": homogeneous_pixels(batch, intrinsics, camera),
        "depth_m": batch[..., 2].contiguous(),
        "colours": torch.rand(len(batch), num_colours, 3, generator=generator),
        "background": torch.tensor([0.1, 0.2, 0.3]),
        "faces": torch.tensor(faces, dtype=torch.int64),
        "height": height,
        "width": width,
        "near_m": 0.01,
        "cull_back_faces": cull_back_faces,
        "image_gradient": torch.randn(len(batch), 3, height, width, generator=generator),
        "silhouette_gradient": torch.randn(len(batch), height, width, generator=generator),
        "depth_m_gradient": torch.randn(len(batch), height, width, generator=generator),
    }


def balls() -> tuple[np.ndarray, np.ndarray]:
    """Return two pictures of a small ball that hides part of a larger one."""
    ball = trimesh.creation.icosphere(subdivisions=1, radius=0.1)
    corners = np.asarray(ball.vertices)
    near, far = 0.6 * corners + np.array([0.03, 0.02, 0.3]), corners + np.array([-0.02, 0, 0.5])
    first = np.concatenate([near, far])
    second = first * [1.1, 0.8, 1.0] + [0.02, 0.01, 0.05]
    return np.stack([first, second]), np.concatenate([ball.faces, ball.faces + len(ball.vertices)])


def bowl() -> tuple[np.ndarray, np.ndarray]:
    """Return a part of a ball that shows the camera some of its inside and some of its outside."""
    ball = trimesh.creation.icosphere(subdivisions=1, radius=0.1)
    kept = ball.triangles_center @ [0.9, 0.2, 0.4] > -0.02
    return ball.vertices[None] + [0, 0, 0.4], ball.faces[kept]


def strewn(seed: int, count: int, spread: float, size: float, depth: float) -> np.ndarray:
    """Return corners of triangles strewn around a point in front of the camera."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform(-spread, spread, (count, 1, 3)) + np.array([0, 0, depth])
    return (centres + generator.normal(0, size, (count, 3, 3))).reshape(1, -1, 3)


def odd_faces() -> np.ndarray:
    return np.array(
        [
            [[-0.1, -0.1, 1], [-0.1, 0.2, 1], [0.2, -0.1, 1]],
            [[0, 0, -1], [1, 0, -1], [0, 1, -1]],  # behind the camera
            [[0, 0, 1], [0.1, 0.1, 1], [0.2, 0.2, 1]],  # a line
            [[0.1, 0.1, 1], [0.1, 0.1, 1], [0.1, 0.1, 1]],  # a point
            [[0, 0, 1], [0, 0, 2], [0.1, 0, 3]],  # its plane holds the camera's centre
            [[1e9, 1e9, 1], [2e9, 1e9, 1], [1e9, 2e9, 1]],  # far outside the image
            [[-1e9, -1e9, 3], [1e9, -1e9, 3], [0, 1e9, 3]],  # far beyond it on all sides
            [[0, -0.1, 0], [0, 0.1, 0.005], [0.1, 0, 0.3]],  # reaches through the near plane
            [[np.nan, 0, 1], [0.1, 0, 1], [0, 0.1, 1]],
            [[np.inf, 0, 1], [0.1, 0, 1], [0, 0.1, 1]],
        ]
    ).reshape(1, -1, 3)


def separate(vertices: np.ndarray) -> np.ndarray:
    return np.arange(vertices.shape[1]).reshape(-1, 3)


def hand() -> tuple[np.ndarray, np.ndarray]:
    data = embedded_hand()
    upright = axis_angle_to_matrix(torch.full((3,), 1.2092, dtype=torch.float64)).numpy()
    vertices = data.v_template @ upright.T
    return (vertices - vertices.mean(0) + [0, 0, 0.5])[None], data.faces


def all_scenes() -> dict[str, Scene]:
    large, small, through = (
        strewn(0, 30, 0.3, 0.15, 0.9),
        strewn(1, 120, 0.05, 0.008, 0.5),
        strewn(2, 30, 0.3, 0.12, 0.15),
    )
    shuffled = np.random.default_rng(3).permutation(separate(large))
    size = {"height": 20, "width": 24, "focal_px": 50.0}
    return {
        "balls": scene(*balls(), **size),
        "orthographic": scene(
            *balls(), height=17, width=24, focal_px=90.0, camera="orthographic", per_face=True
        ),
        "bowl": scene(*bowl(), **size),
        "culled_bowl": scene(*bowl(), **size, cull_back_faces=True),
        "large_faces": scene(large, separate(large), height=24, width=20, focal_px=30.0),
        "shuffled": scene(large, shuffled, height=24, width=20, focal_px=30.0),
        # Many outlines pass between the same pixels and more than fills them flows in.
        "small_faces": scene(small, separate(small), height=9, width=9, focal_px=40.0),
        "through_camera": scene(through, separate(through), height=20, width=24, focal_px=12.0),
        "odd_faces": scene(odd_faces(), separate(odd_faces()), **size),
        "behind": scene(balls()[0] * [1, 1, -1], balls()[1], height=8, width=8, focal_px=9.0),
        "no_faces": scene(balls()[0], separate(np.empty((1, 0, 3))), **size),
        "one_pixel": scene(*balls(), height=1, width=1, focal_px=9.0),
        "hand": scene(*hand(), height=48, width=44, focal_px=105.0),
    }


SCENES = tuple(all_scenes())


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("interpreted")
    torch.save(all_scenes(), folder / "scenes.pt")
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder / "scenes.pt"), str(folder / "drawn.pt")],
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    results: dict[str, Any] = torch.load(folder / "drawn.pt")
    return results


def assert_same_drawing(drawn: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert all(tensor.isfinite().all() for tensor in drawn.values())
    same = drawn["face_id"] == expected["face_id"]
    assert same.float().mean() > 0.999
    for name in ("silhouette", "depth_m"):
        assert_allclose(drawn[name][same], expected[name][same], atol=2e-5, err_msg=name)
    image, expected_image = (d["image"].movedim(1, -1)[same] for d in (drawn, expected))
    assert_allclose(image, expected_image, atol=2e-5)
    if not same.all():  # one other face changes gradients by as much as it has
        return
    for name in ("points_gradient", "depth_m_gradient", "colours_gradient"):
        scale = float(expected[name].abs().max())
        assert_allclose(
            drawn[name], expected[name], rtol=1e-3, atol=1e-4 * scale + 1e-6, err_msg=name
        )


@pytest.mark.parametrize("name", SCENES)
def test_interpreted_kernels_draw_and_differentiate_as_the_cpu_does(
    name: str, interpreted: dict[str, Any]
) -> None:
    expected = draw_scene(cpu.draw, all_scenes()[name])
    assert_same_drawing(interpreted["drawn"][name], expected)


@pytest.mark.parametrize(
    "name", sorted(set(SCENES) - {"behind", "no_faces", "odd_faces", "one_pixel"})
)
def test_scenes_show_faces_and_outlines(name: str, interpreted: dict[str, Any]) -> None:
    drawn = interpreted["drawn"][name]
    assert len(drawn["face_id"].unique()) > 10
    partly = (drawn["silhouette"] > 0.01) & (drawn["silhouette"] < 0.99)
    assert partly.sum() > 20


@pytest.mark.parametrize("name", ["behind", "no_faces"])
def test_where_nothing_is_seen_the_background_is(name: str, interpreted: dict[str, Any]) -> None:
    drawn = interpreted["drawn"][name]
    assert_array_equal(drawn["face_id"], -1)
    assert_array_equal(drawn["silhouette"], 0)
    assert_array_equal(drawn["depth_m"], 0)
    assert_allclose(drawn["image"][:, :, 3, 4], [[0.1, 0.2, 0.3]] * 2, rtol=1e-6)
    assert_array_equal(drawn["points_gradient"], 0)


def test_order_of_faces_leaves_no_trace(interpreted: dict[str, Any]) -> None:
    drawn, shuffled = (interpreted["drawn"][name] for name in ("large_faces", "shuffled"))
    for name in ("image", "silhouette", "depth_m"):
        assert_array_equal(drawn[name], shuffled[name])
    assert (drawn["face_id"] != shuffled["face_id"]).any()


def test_a_face_around_the_image_hides_what_is_odd(interpreted: dict[str, Any]) -> None:
    drawn = interpreted["drawn"]["odd_faces"]
    assert sorted(drawn["face_id"].unique().tolist()) == [0, 6]
    assert_array_equal(drawn["silhouette"], 1)


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compile_as_they_are_launched(
    name: str,
    capability: int,
    interpreted: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sorted(interpreted["launches"]) == list(KERNELS)
    launch = interpreted["launches"][name]
    assert "entry" in compile_kernel(name, launch, capability, tmp_path, monkeypatch)


def test_what_is_launched_binds_and_compiles(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, str(LAUNCHES), str(tmp_path / "launched.json")],
        env=os.environ | {"TRITON_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    versions = json.loads((tmp_path / "launched.json").read_text())
    assert sorted(versions) == list(KERNELS)
    for name, assemblies in versions.items():
        assert all(f".entry {name}" in assembly for assembly in assemblies)
    # For culling, colouring and multiples of 16; not for each size, or each batch would compile.
    assert max(len(assemblies) for assemblies in versions.values()) <= 4


def compile_kernel(
    name: str,
    launch: dict[str, Any],
    capability: int,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Return the assembly of a kernel for arguments of these types, or with these values."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from s2hand.rendering import cuda_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(cache))
    is_type = {key: isinstance(kind, str) for key, kind in launch.items()}
    source = ASTSource(
        getattr(cuda_kernels, name),
        signature={key: kind if is_type[key] else "constexpr" for key, kind in launch.items()},
        constexprs={
            (place,): kind for place, (key, kind) in enumerate(launch.items()) if not is_type[key]
        },
    )
    compiled = triton.compile(
        source, GPUTarget("cuda", capability, 32), options={"enable_fp_fusion": False}
    )
    ptx: str = compiled.asm["ptx"]
    return ptx


def test_what_cannot_be_drawn_is_refused() -> None:
    from s2hand.rendering import cuda

    points, background = torch.zeros(1, 3, 3), torch.zeros(3)
    topology = MeshTopology.from_faces(torch.tensor([[0, 1, 2]]), 3)
    size = {"height": 4, "width": 4, "near_m": 0.01, "cull_back_faces": False}
    with pytest.raises(ValueError, match="one CUDA device, got points on cpu and points on cpu"):
        cuda.draw(points, points[..., 2], points, background, topology, **size)
    with pytest.raises(ValueError, match=r"needs float32, got points in torch\.float64"):
        cuda.draw(
            points.double(), points[..., 2].double(), points.double(), background.double(),
            topology, **size,
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"near_m must not be negative, got -0\.5"):
        cuda.draw(points, points[..., 2], points, background, topology, **size | {"near_m": -0.5})
    many = torch.zeros(1, 1, 1).expand(65536, 3, 3)
    with pytest.raises(ValueError, match="at most 65535 meshes are drawn at once, got 65536"):
        cuda.draw(many, many[..., 2], many, background, topology, **size)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", SCENES)
def test_on_a_gpu_drawings_are_those_of_the_cpu_and_the_same_bits_every_time(name: str) -> None:
    from s2hand.rendering import cuda

    expected = draw_scene(cpu.draw, all_scenes()[name])
    drawn, again = (draw_scene(cuda.draw, all_scenes()[name], "cuda") for _ in range(2))
    assert_same_drawing(drawn, expected)
    for key, tensor in drawn.items():
        assert_array_equal(tensor, again[key], err_msg=key)
