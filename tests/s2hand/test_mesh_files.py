"""Meshes come back from files as another library reads them."""

import json
import struct
from io import BytesIO

import numpy as np
import pytest
import trimesh

from s2hand.mesh_files import WRITERS

VERTICES = np.array([[0.01, -0.02, 0.5], [0.11, 0.02, 0.52], [-0.03, 0.08, 0.61], [0.05, 0.0, 0.7]])
FACES = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2]])
COLOURS = np.array([[0.0, 0.2, 1.0], [0.8, 0.02, 0.4], [0.6, 0.6, 0.6], [1.0, 0.5, 0.1]])


def read_again(suffix: str) -> trimesh.Trimesh:
    content = WRITERS[suffix](VERTICES, FACES, COLOURS)
    read = trimesh.load(
        BytesIO(content), file_type=suffix[1:], force="mesh", process=False, maintain_order=True
    )
    assert isinstance(read, trimesh.Trimesh)
    return read


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_obj_and_ply_hold_the_camera_s_frame(suffix: str) -> None:
    read = read_again(suffix)
    np.testing.assert_allclose(read.vertices, VERTICES, atol=1e-6)
    np.testing.assert_array_equal(read.faces, FACES)
    colours = read.visual.vertex_colors[:, :3]
    np.testing.assert_allclose(colours, COLOURS * 255, atol=1)


def test_glb_has_y_up_and_linear_colours() -> None:
    read = read_again(".glb")
    np.testing.assert_allclose(read.vertices, VERTICES * [1, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(read.faces, FACES)
    # trimesh leaves colours out where there is a material: by glTF's own description of the file.
    content = WRITERS[".glb"](VERTICES, FACES, COLOURS)
    (length,) = struct.unpack_from("<I", content, 12)
    described = json.loads(content[20 : 20 + length])
    (primitive,) = described["meshes"][0]["primitives"]
    accessor = described["accessors"][primitive["attributes"]["COLOR_0"]]
    assert (accessor["componentType"], accessor["type"], accessor["count"]) == (5126, "VEC3", 4)
    view = described["bufferViews"][accessor["bufferView"]]
    linear = np.frombuffer(content, "<f4", 12, offset=28 + length + view["byteOffset"])
    # What a screen shows of linear light: its power 1 / 2.2, nearly.
    np.testing.assert_allclose(linear.reshape(4, 3) ** (1 / 2.2), COLOURS, atol=0.04)
