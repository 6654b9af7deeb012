"""The predictor: the model's own outputs for any split into batches, and errors that help."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import s2hand
from s2hand.config import LossConfig, LossWeights
from s2hand.inference import Predictor


def _tensors(prediction, outputs):
    found = {"joints": prediction.hand.joints, "vertices": prediction.hand.vertices}
    found["keypoints"] = prediction.hand.projected_keypoints_px
    if "appearance" in outputs:
        found["texture"] = prediction.appearance.texture
        found["light"] = prediction.appearance.lighting.direction
    if "rendering" in outputs:
        found["image"] = prediction.rendering.image
    if "heatmaps" in outputs:
        found["heatmaps"] = prediction.heatmap_keypoints_px.movedim(1, 0)
    return found


@pytest.mark.parametrize("batch_size", [1, 2, 3, 6, 7, 64])
def test_predictions_are_the_model_s_whatever_the_batch(model, inputs, batch_size):
    found = Predictor(model).predict(*inputs, outputs=model.outputs, batch_size=batch_size)
    spread_m = (found.hand.joints[:, None] - found.hand.joints).norm(dim=-1).mean(dim=-1)
    assert spread_m[~torch.eye(7, dtype=torch.bool)].min() > 1e-3  # no two images look alike to it
    found = _tensors(found, model.outputs)
    for row in range(7):
        with torch.no_grad():
            alone = model(*(values[row : row + 1] for values in inputs), outputs=model.outputs)
        for name, expected in _tensors(alone, model.outputs).items():
            assert len(found[name]) == 7
            torch.testing.assert_close(found[name][row], expected[0], atol=2e-3, rtol=1e-4)


def test_a_camera_is_asked_for_where_the_model_reads_one(config, make_model, model, inputs):
    images, _, rotations = inputs
    with pytest.raises(ValueError, match="intrinsics_px must be given: this model projects"):
        Predictor(model).predict(images, camera_rotation=rotations)
    flat = make_model(replace(config, model=replace(config.model, projection="orthographic")))
    found = Predictor(flat).predict(images, camera_rotation=rotations, batch_size=3).hand
    assert found.projected_keypoints_px.shape == (7, 21, 2)


def test_only_the_hand_is_predicted_unless_more_is_asked_for(model, inputs):
    prediction = Predictor(model).predict(*inputs)
    assert prediction.hand is not None
    assert prediction.appearance is None
    assert prediction.rendering is None
    assert prediction.heatmap_keypoints_px is None
    keypoints = Predictor(model).predict(*inputs, outputs={"heatmaps"})
    assert keypoints.hand is None
    assert keypoints.heatmap_keypoints_px.shape == (2, 7, 21, 2)


def test_convention_hands_are_in_the_images_cameras_unless_those_are_turned(model, inputs):
    images, cameras, rotations = inputs
    plain = Predictor(model).predict(images, cameras).hand
    turned = Predictor(model).predict(images, cameras, rotations).hand
    in_other_camera = torch.einsum("bij,bvj->bvi", rotations, plain.vertices)
    torch.testing.assert_close(turned.vertices, in_other_camera, atol=1e-5, rtol=0)
    in_image_px = torch.einsum("bij,bkj->bki", cameras, plain.joints)
    in_image_px = in_image_px[..., :2] / in_image_px[..., 2:]
    for hand in (plain, turned):
        torch.testing.assert_close(hand.projected_keypoints_px, in_image_px, atol=1e-2, rtol=0)


def test_arrays_are_taken_as_tensors_are(model, inputs):
    expected = Predictor(model).predict(*inputs).hand.vertices
    arrays = [values.numpy().astype(np.float64) for values in inputs]
    arrays[0] = np.ascontiguousarray(arrays[0].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for values in arrays:
        values.flags.writeable = False
    assert torch.equal(Predictor(model).predict(*arrays).hand.vertices, expected)
    images, cameras, rotations = inputs
    mirrored = images.numpy()[..., ::-1], cameras.numpy(), rotations.numpy()
    found = Predictor(model).predict(*mirrored).hand.vertices
    assert torch.equal(
        found, Predictor(model).predict(images.flip(-1), cameras, rotations).hand.vertices
    )


def test_a_model_in_training_mode_predicts_as_in_evaluation_and_is_not_changed(model, inputs):
    expected = Predictor(model).predict(*inputs).hand.vertices
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = Predictor(model.train()).predict(*inputs).hand.vertices
    assert torch.equal(found, expected)
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    # What was predicted can be optimised against.
    assert not found.requires_grad
    weight = torch.ones(1, requires_grad=True)
    (weight * found).sum().backward()


def test_inputs_that_cannot_be_meant_are_refused(model, inputs):
    images, cameras, rotations = inputs
    predict = Predictor(model).predict
    with pytest.raises(ValueError, match=r"\(batch, 3, 32, 32\).*got \(7, 3, 32, 31\); crop and"):
        predict(images[..., :31], cameras)
    with pytest.raises(ValueError, match=r"at least one image, got \(0, 3, 32, 32\)"):
        predict(images[:0], cameras[:0])
    with pytest.raises(ValueError, match=r"got \(7, 32, 32, 3\)"):
        predict(images.movedim(1, 3), cameras)
    with pytest.raises(ValueError, match=r"from 0 to 1, got torch.uint8 from .* divide bytes"):
        predict((images * 255).byte(), cameras)
    with pytest.raises(ValueError, match=r"from 0 to 1, got torch.uint8 from 0.0 to 1.0; divide"):
        predict((images > 0.5).byte(), cameras)
    with pytest.raises(ValueError, match=r"from 0 to 1, got torch.float32 from"):
        predict(images * 255, cameras)
    with pytest.raises(ValueError, match=r"from 0 to 1, got torch.float32 from nan"):
        predict(images.masked_fill(images > 0.99, torch.nan), cameras)
    with pytest.raises(ValueError, match=r"\(7, 3, 3\), a camera for every image, got \(3, 3\)"):
        predict(images, cameras[0])
    with pytest.raises(ValueError, match=r"camera_rotation must have the shape \(7, 3, 3\)"):
        predict(images, cameras, rotations[:6])


def test_resampling_may_round_colours_beyond_their_range_and_no_further(model, inputs):
    images, cameras, _ = inputs
    predict = Predictor(model).predict
    for beyond, least in ((-1, 0.0), (1, 1.0)):
        predict(images.masked_fill(images > 0.9, least + beyond * 0.00099), cameras)
        with pytest.raises(ValueError, match=r"from 0 to 1, got torch\.float32 from"):
            predict(images.masked_fill(images > 0.9, least + beyond * 0.0011), cameras)


def test_an_output_that_the_model_lacks_is_refused(config, make_model, inputs):
    weights = LossWeights(heatmap_keypoint=0.0, keypoint_consistency=0.0)
    predictor = Predictor(make_model(replace(config, losses=LossConfig(weights=weights))))
    with pytest.raises(ValueError, match=r"of appearance, hand, rendering, got also heatmaps: th"):
        predictor.predict(*inputs, outputs={"hand", "heatmaps"})


def test_a_file_alone_gives_a_predictor(saved, model, inputs):
    predictor = s2hand.load(saved)
    assert predictor.image_size_px == 32
    expected = Predictor(model).predict(*inputs).hand.vertices
    assert torch.equal(predictor.predict(*inputs).hand.vertices, expected)


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(sys.modules), sep=chr(10))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


def test_importing_the_package_alone_brings_no_torch():
    assert "s2hand" in (modules := _modules_after("import s2hand"))
    assert not modules & {"torch", "numpy", "safetensors"}


def test_a_trained_model_is_used_without_training_data_sets_and_metrics(saved):
    modules = _modules_after(f"import s2hand; s2hand.load({str(saved)!r})")
    rooms = {name.split(".")[1] for name in modules if name.startswith("s2hand.")}
    assert {"trained_model", "inference", "model"} <= rooms
    assert not rooms & {"training", "data", "metrics", "synthetic", "evaluation"}
