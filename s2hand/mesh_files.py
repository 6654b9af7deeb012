"""Meshes with a colour per vertex as OBJ, PLY and GLB, for other programs."""

import json
import struct
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt8

_FLOAT, _UINT = 5126, 5125
_ARRAY, _ELEMENTS = 34962, 34963
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942


def to_obj(
    vertices: Float[np.ndarray, "verts 3"],
    faces: Int[np.ndarray, "faces 3"],
    colours: Float[np.ndarray, "verts 3"],
) -> bytes:
    """Write a mesh as Wavefront OBJ, colours behind the coordinates, as most programs read them.

    Args:
        vertices: Metres, written in the frame that they are in.
        faces: Triangles, counter-clockwise seen from outside.
        colours: sRGB, 0 to 1.
    """
    rows = np.concatenate((vertices, colours), axis=1)
    points = ("v " + " ".join(f"{value:.6f}" for value in row) for row in rows)
    triangles = ("f " + " ".join(map(str, triangle)) for triangle in faces + 1)
    return "\n".join((*points, *triangles, "")).encode("ascii")


def to_ply(
    vertices: Float[np.ndarray, "verts 3"],
    faces: Int[np.ndarray, "faces 3"],
    colours: Float[np.ndarray, "verts 3"],
) -> bytes:
    """Write a mesh as binary PLY with a byte per colour; arguments as :func:`to_obj`."""
    points = np.empty(len(vertices), [("place", "<f4", 3), ("colour", "u1", 3)])
    points["place"], points["colour"] = vertices, _bytes(colours)
    triangles = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, faces
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return header.encode("ascii") + points.tobytes() + triangles.tobytes()


def to_glb(
    vertices: Float[np.ndarray, "verts 3"],
    faces: Int[np.ndarray, "faces 3"],
    colours: Float[np.ndarray, "verts 3"],
) -> bytes:
    """Write a mesh as one binary glTF 2.0 file; arguments as :func:`to_obj`.

    Convention:
        glTF's y points up and its colours are linear: from the OpenCV camera frame, points go to
        (x, −y, −z), and sRGB is made linear.
    """
    places = (vertices * [1, -1, -1]).astype("<f4")
    parts = (places, _linear(colours).astype("<f4"), faces.astype("<u4"))
    binary = b"".join(part.tobytes() for part in parts)  # each a multiple of four bytes
    text = json.dumps(_gltf(*parts)).encode("ascii")
    text += b" " * (-len(text) % 4)
    chunks = (
        struct.pack("<II", len(text), _JSON_CHUNK) + text
        + struct.pack("<II", len(binary), _BINARY_CHUNK) + binary
    )  # fmt: skip
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


WRITERS: dict[str, Callable[..., bytes]] = {".obj": to_obj, ".ply": to_ply, ".glb": to_glb}
"""By the ending of a file's name."""


def _gltf(
    places: Float[np.ndarray, "verts 3"],
    colours: Float[np.ndarray, "verts 3"],
    faces: np.ndarray,
) -> dict[str, object]:
    """Describe the binary part: places, colours, triangles, one behind the other."""
    sizes = (places.nbytes, colours.nbytes, faces.nbytes)
    starts = (0, sizes[0], sizes[0] + sizes[1])
    return {
        "asset": {"version": "2.0", "generator": "s2hand"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "hand"}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2,
                             "material": 0}]}
        ],
        "materials": [
            {"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.8},
             "doubleSided": True}
        ],
        "buffers": [{"byteLength": sum(sizes)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": size, "target": target}
            for start, size, target in zip(
                starts, sizes, (_ARRAY, _ARRAY, _ELEMENTS), strict=True
            )
        ],
        "accessors": [
            {"bufferView": 0, "componentType": _FLOAT, "count": len(places), "type": "VEC3",
             "min": places.min(axis=0).tolist(), "max": places.max(axis=0).tolist()},
            {"bufferView": 1, "componentType": _FLOAT, "count": len(colours), "type": "VEC3"},
            {"bufferView": 2, "componentType": _UINT, "count": faces.size, "type": "SCALAR"},
        ],
    }  # fmt: skip


def _bytes(colours: Float[np.ndarray, "verts 3"]) -> UInt8[np.ndarray, "verts 3"]:
    return np.round(colours * 255).astype(np.uint8)


def _linear(colours: Float[np.ndarray, "verts 3"]) -> Float[np.ndarray, "verts 3"]:
    """Turn sRGB into linear light (IEC 61966-2-1)."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
