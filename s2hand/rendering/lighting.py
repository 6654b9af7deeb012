"""Ambient light and one directional light on matt surfaces, per vertex or per face."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from s2hand.geometry.mesh import face_normals, vertex_normals
from s2hand.rendering.topology import MeshTopology


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lighting:
    """An ambient and a directional light per image: eleven numbers, none clamped."""

    ambient_intensity: Float[Tensor, "batch 1"]
    directional_intensity: Float[Tensor, "batch 1"]
    ambient_colour: Float[Tensor, "batch 3"]
    directional_colour: Float[Tensor, "batch 3"]
    direction: Float[Tensor, "batch 3"]
    """The way the light travels, camera frame; its length multiplies the intensity."""

    @classmethod
    def from_vector(cls, vector: Float[Tensor, "batch 11"]) -> "Lighting":
        """Name the numbers of a light head's output.

        Convention:
            Ambient intensity, directional intensity, ambient RGB, directional RGB, direction.

        References:
            Paper §3.2.2; the order is that of the released code's ``texture_light_estimator``.
        """
        ambient, directional, ambient_rgb, directional_rgb, direction = vector.split(
            [1, 1, 3, 3, 3], dim=1
        )
        return cls(
            ambient_intensity=ambient,
            directional_intensity=directional,
            ambient_colour=ambient_rgb,
            directional_colour=directional_rgb,
            direction=direction,
        )


def shade(
    vertices: Float[Tensor, "batch verts 3"],
    topology: MeshTopology,
    albedo: Float[Tensor, "batch points 3"],
    lighting: Lighting,
) -> Float[Tensor, "batch points 3"]:
    """Light the albedo of vertices or of faces.

    Convention:
        colour = albedo · (la·lca + ld·lcd·relu(−n·direction)) with outward normals n: light that
        travels along +z reaches the side that the camera sees. The released code's normals point
        inwards and its sign is the opposite, so that the same eleven numbers mean the same light.

    Args:
        vertices: Metres, camera frame.
        topology: Their faces.
        albedo: Per vertex, or per face; where a mesh has as many of both, per vertex.
        lighting: One light set-up per image.

    Raises:
        ValueError: If there are neither as many albedos as vertices nor as faces.
    """
    num_points, num_faces = albedo.shape[1], len(topology.faces)
    if num_points == topology.num_vertices:
        normals = vertex_normals(vertices, topology.faces)
    elif num_points == num_faces:
        normals = face_normals(vertices, topology.faces)
    else:
        raise ValueError(
            f"albedo must be per vertex ({topology.num_vertices}) or per face ({num_faces}), "
            f"got {num_points} colours"
        )
    ambient = lighting.ambient_intensity * lighting.ambient_colour
    directional = lighting.directional_intensity * lighting.directional_colour
    cosine = (normals @ -lighting.direction[..., None]).relu()
    return albedo * (ambient[:, None] + directional[:, None] * cosine)
