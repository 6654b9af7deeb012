"""What is written as ONNX computes what the model does, for batches of any size."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import s2hand
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.hand.embedded import embedded_hand
from s2hand.inference import Predictor
from s2hand.model import S2Hand
from s2hand.onnx_export import ExportError, export_onnx, is_free

ort = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
TOLERANCES = {"vertices": 1e-4, "joints": 1e-4, "keypoints_px": 0.05, "rotations": 1e-4}


@pytest.fixture(params=["the project's own", "of another kind"])
def exported(request, config, make_model) -> S2Hand:
    if request.param == "the project's own":
        return s2hand.load().model
    other = replace(
        config.model,
        projection="orthographic",
        rotation_centre="origin_flipped",
        use_mean_shape=True,
    )
    model = make_model(replace(config, model=other))
    model.precision = "bfloat16"
    return model


@pytest.mark.timeout(1200)  # torch traces for a minute on busy cores
def test_onnx_gives_what_the_model_gives(exported: S2Hand, tmp_path: Path) -> None:
    path = tmp_path / "hand ü.onnx"
    export_onnx(exported, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    size_px = exported.config.image_size_px
    assert told == {
        "s2hand": s2hand.__version__,
        "hand_model": "embedded",
        "hand_fingerprint": embedded_hand().fingerprint,
        "image_size_px": str(size_px),
        "projection": exported.config.projection,
    }
    names = {each.name for each in session.get_inputs()}
    reads_camera = exported.config.projection == "perspective"
    assert names == {"images", "camera_rotation", *(["intrinsics_px"] if reads_camera else [])}
    for batch in (1, 4):
        generator = torch.Generator().manual_seed(batch)
        images = torch.rand(batch, 3, size_px, size_px, generator=generator)
        camera = torch.tensor([[2.3 * size_px, 0, 10], [0, 2.1 * size_px, 20], [0, 0, 1]])
        cameras = camera.repeat(batch, 1, 1)
        rotations = axis_angle_to_matrix(torch.rand(batch, 3, generator=generator))
        inputs = {"images": images, "intrinsics_px": cameras, "camera_rotation": rotations}
        found = dict(
            zip(
                TOLERANCES,
                session.run(list(TOLERANCES), {name: inputs[name].numpy() for name in names}),
                strict=True,
            )
        )
        hand = Predictor(exported).predict(images, cameras, rotations).hand
        assert hand is not None
        axis_angles = torch.cat((hand.global_orient[:, None], hand.hand_pose), dim=1)
        expected = {
            "vertices": hand.vertices,
            "joints": hand.joints,
            "keypoints_px": hand.projected_keypoints_px,
            "rotations": torch.matrix_exp(crossed(axis_angles)),
        }
        for name, tolerance in TOLERANCES.items():
            np.testing.assert_allclose(found[name], expected[name], atol=tolerance, err_msg=name)


def crossed(vectors: torch.Tensor) -> torch.Tensor:
    """Return the matrices whose product with x is the cross product of the vectors with x."""
    x, y, z = vectors.double().unbind(-1)
    zero = torch.zeros_like(x)
    entries = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def test_a_hand_that_is_not_the_project_s_own_is_not_free(config, make_mano) -> None:
    hand = str(make_mano(1.1))
    model = S2Hand(replace(config, model=replace(config.model, hand_model=hand)))
    assert not is_free(model)
    assert is_free(S2Hand(config))


def test_a_missing_package_is_named(model, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"needs the package onnx: pip install 's2hand\[onnx\]'"):
        export_onnx(model, tmp_path / "x.onnx")
