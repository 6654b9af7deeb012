"""PyTorch3D's rasteriser behind this package's ``draw``, for comparison; imported when asked for.

It is another renderer: edges are soft over about a pixel (Liu et al., "Soft Rasterizer", 2019)
instead of anti-aliased, and inside the outline the silhouette may dip below one along edges between
faces. The eight nearest faces of a pixel count. Meshes must be float32 and lie in front of the
camera: vertices behind it have no place in the projected coordinates that PyTorch3D takes. No test
runs this, because PyTorch3D has to be built from its source.
"""

import math

import torch
from jaxtyping import Float, Int
from pytorch3d.ops import interpolate_face_attributes
from pytorch3d.renderer.blending import BlendParams, softmax_rgb_blend
from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
from pytorch3d.renderer.mesh.rasterizer import Fragments
from pytorch3d.structures import Meshes
from torch import Tensor

from s2hand.rendering.topology import MeshTopology

_FACES_PER_PIXEL = 8
_CUT_OFF = math.log(1e4)  # faces that would count with less than 1e-4 are left out


def draw(
    points: Float[Tensor, "batch verts 3"],
    depth_m: Float[Tensor, "batch verts"],
    colours: Float[Tensor, "batch points 3"],
    background: Float[Tensor, "3"],
    topology: MeshTopology,
    *,
    height: int,
    width: int,
    near_m: float,
    cull_back_faces: bool,
) -> tuple[
    Float[Tensor, "batch 3 height width"],
    Float[Tensor, "batch height width"],
    Float[Tensor, "batch height width"],
    Int[Tensor, "batch height width"],
]:
    """Draw projected meshes; arguments and results as in :func:`s2hand.rendering.cpu.draw`."""
    shorter = min(height, width)
    sigma = shorter**-2.0  # half a pixel, squared, where the shorter side is two units long
    # PyTorch3D's x points left and its y up; z stays the depth.
    u, v = (points[..., :2] / points[..., 2:]).unbind(-1)
    place = ((width - 1 - 2 * u) / shorter, (height - 1 - 2 * v) / shorter, depth_m)
    meshes = Meshes(torch.stack(place, dim=-1), topology.faces.expand(len(points), -1, -1))
    face, depth, weights, distance = rasterize_meshes(
        meshes,
        (height, width),
        blur_radius=_CUT_OFF * sigma,
        faces_per_pixel=_FACES_PER_PIXEL,
        perspective_correct=bool((points[..., 2] != 1).any()),
        clip_barycentric_coords=True,
        cull_backfaces=cull_back_faces,
        z_clip_value=near_m,
    )
    if colours.shape[1] == topology.num_vertices:
        corners = colours[:, topology.faces]
    else:
        corners = colours[:, :, None].expand(-1, -1, 3, -1)
    pixels = softmax_rgb_blend(
        interpolate_face_attributes(face, weights, corners.flatten(0, 1)),
        Fragments(pix_to_face=face, zbuf=depth, bary_coords=weights, dists=distance),
        BlendParams(sigma=sigma, background_color=background),
        znear=near_m,
        zfar=2 * float(depth_m.max()),
    )
    inside = (face >= 0) & (distance < 0)
    nearest = inside.int().argmax(dim=-1, keepdim=True)
    seen = inside.any(dim=-1)
    face_id = face.gather(-1, nearest).squeeze(-1) % len(topology.faces)
    return (
        pixels[..., :3].permute(0, 3, 1, 2),
        pixels[..., 3],
        torch.where(seen, depth.gather(-1, nearest).squeeze(-1), 0.0),
        torch.where(seen, face_id, -1).int(),
    )
