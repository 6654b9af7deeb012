"""Scenes, and a slow and obvious renderer, for the tests of the differentiable one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.rendering import MeshTopology
from s2hand.rendering.cpu import draw

DOUBLE = torch.float64


class Scenes:
    """What several test files build; as a fixture, because tests cannot import each other."""

    @staticmethod
    def camera(size_px: int, *, focal: float = 2.0, camera: str = "perspective") -> Tensor:
        """One camera whose axis passes through the image's centre."""
        centre = (size_px - 1) / 2
        scale = focal * size_px if camera == "perspective" else 2.2 * focal * size_px
        return torch.tensor([[scale, 0, centre], [0, scale, centre], [0, 0, 1]], dtype=DOUBLE)

    @staticmethod
    def draw(
        points: Tensor,
        depth_m: Tensor,
        colours: Tensor,
        topology: MeshTopology,
        height: int,
        width: int,
        *,
        near_m: float = 0.01,
        cull: bool = False,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return draw(
            points, depth_m, colours, torch.tensor(background, dtype=points.dtype), topology,
            height=height, width=width, near_m=near_m, cull_back_faces=cull,
        )  # fmt: skip

    @staticmethod
    def soup(corners: Tensor) -> tuple[Tensor, MeshTopology]:
        """Separate triangles (n 3 3) as one mesh."""
        faces = torch.arange(corners.shape[-3] * 3).view(-1, 3)
        return corners.flatten(-3, -2), MeshTopology.from_faces(faces, 3 * len(faces))

    @staticmethod
    def on_screen(corners_px: list[list[float]], depth_m: float) -> Tensor:
        """Homogeneous pixels of points at one depth, perspective: w is the depth."""
        pixels = torch.tensor(corners_px, dtype=DOUBLE)
        return depth_m * torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=1)

    @staticmethod
    def hands(count: int, seed: int = 0) -> tuple[Tensor, MeshTopology]:
        """Embedded hands in random postures, in front of the camera, seen from all sides."""
        layer = HandLayer(embedded_hand(), dtype=DOUBLE)
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=DOUBLE)

        vertices = layer(
            betas=normal(count, 10),
            global_orient=1.2 * normal(count, 3),
            hand_pose_pca=0.8 * normal(count, 30),
        ).vertices
        middle = (vertices.amin(1, keepdim=True) + vertices.amax(1, keepdim=True)) / 2
        place = torch.tensor([0.0, 0.0, 0.45], dtype=DOUBLE) + 0.01 * normal(count, 1, 3)
        return vertices - middle + place, MeshTopology.from_faces(layer.faces, 778)


@pytest.fixture(scope="session")
def scenes() -> type[Scenes]:
    return Scenes


@pytest.fixture(scope="session")
def reference() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Face ids, barycentric weights and depths by a loop over faces, each against every pixel."""

    def cast_rays(
        vertices: np.ndarray,
        K: np.ndarray,
        faces: np.ndarray,
        height: int,
        width: int,
        camera: str = "perspective",
        near_m: float = 0.01,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, columns = np.mgrid[:height, :width]
        pixels = np.stack([columns, rows, np.ones_like(rows)], -1).reshape(-1, 3).astype(float)
        through = np.linalg.solve(K, pixels.T).T
        along = through if camera == "perspective" else np.array([[0.0, 0.0, 1.0]])
        origin = np.zeros((1, 3)) if camera == "perspective" else through - [0, 0, 1]
        nearest = np.full(len(pixels), np.inf)
        face_id = np.full(len(pixels), -1)
        weights = np.zeros((len(pixels), 3))
        for index, (a, b, c) in enumerate(vertices[faces]):
            # origin + t·along = a + q·(b − a) + r·(c − a), by Cramer's rule
            q_axis, r_axis, offset = b - a, c - a, origin - a
            determinant = np.einsum("pi,i->p", -along, np.cross(q_axis, r_axis))
            with np.errstate(divide="ignore", invalid="ignore"):
                t = np.einsum("pi,i->p", offset, np.cross(q_axis, r_axis)) / determinant
                q = np.einsum("pi,pi->p", -along, np.cross(offset, r_axis)) / determinant
                r = np.einsum("pi,pi->p", -along, np.cross(q_axis, offset)) / determinant
                depth = (origin + t[:, None] * along)[:, 2]
                hit = (q >= 0) & (r >= 0) & (q + r <= 1) & (depth >= near_m) & (depth < nearest)
            hit &= np.broadcast_to(determinant, hit.shape) != 0
            nearest[hit], face_id[hit] = depth[hit], index
            weights[hit] = np.stack([1 - q - r, q, r], -1)[hit]
        shape = (height, width)
        return face_id.reshape(shape), weights.reshape(*shape, 3), nearest.reshape(shape)

    return cast_rays
