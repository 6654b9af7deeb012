"""What the pictures of a training show, of a model with two stacks in its 2D branch."""

from dataclasses import replace

import numpy as np
import torch

from s2hand import drawing
from s2hand.data.dataset import FrameDataset
from s2hand.model import S2Hand


def test_a_picture_shows_what_the_model_predicts(config, table, monkeypatch):
    config = replace(config, model=replace(config.model, keypoint_stacks=2))
    torch.manual_seed(3)
    model = S2Hand(config)
    shown = {}

    def lay_out(**given):
        shown.update(given)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(drawing, "reconstruction_grid", lay_out)
    batch = FrameDataset(table, config.model.image_size_px).batch(range(3))
    drawing.draw_reconstructions(model, batch)
    assert not model.training
    camera = (batch.intrinsics_px, batch.camera_rotation)
    with torch.no_grad():
        predicted = model(batch.images, *camera, outputs=model.outputs)
        turn = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
        centre = predicted.hand.vertices.mean(dim=1, keepdim=True)
        from_the_side = (predicted.hand.vertices - centre) @ turn.T + centre
        novel = model.render(from_the_side, predicted.appearance, *camera)
    first, last = predicted.heatmap_keypoints_px
    assert (first - last).abs().max() > 1e-3
    expected = {
        "images": batch.images,
        "detected_keypoints_px": batch.detected_keypoints_px,
        "detection_confidence": batch.detection_confidence,
        "projected_keypoints_px": predicted.hand.projected_keypoints_px,
        "heatmap_keypoints_px": last,
        "rendered_image": predicted.rendering.image,
        "rendered_silhouette": predicted.rendering.silhouette,
        "novel_view_image": novel.image,
    }
    assert shown.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(shown[name], values, atol=1e-4, rtol=1e-4, msg=name)


def test_frames_are_drawn_one_by_one_and_grey_without_a_texture(config, table):
    torch.manual_seed(3)
    weights = replace(config.losses.weights, pixel=0.0, ssim=0.0, texture_prior=0.0)
    without = replace(config, losses=replace(config.losses, weights=weights))
    model = S2Hand(without)
    assert "appearance" not in model.outputs
    batch = FrameDataset(table, config.model.image_size_px).batch(range(3))
    frames = drawing.draw_frames(model, batch)
    assert list(frames) == ["input", "keypoints", "overlay", "render", "side"]
    size = batch.images.shape[-1]
    for pictures in frames.values():
        assert pictures.shape == (3, 128, 128, 3)
        assert pictures.dtype == np.uint8
    expected = np.round(batch.images.numpy() * 255).repeat(128 // size, 2).repeat(128 // size, 3)
    np.testing.assert_array_equal(frames["input"], expected.transpose(0, 2, 3, 1))
    for kind in ("render", "side"):  # the same of red, green and blue, and not black alone
        np.testing.assert_array_equal(frames[kind][..., 0], frames[kind][..., 2])
        assert 20 < frames[kind].max() < 255
        assert frames[kind].min() == 0
    covered = frames["render"].any(axis=-1)
    assert (frames["overlay"] != frames["input"]).any(axis=-1)[covered].mean() > 0.9
    np.testing.assert_array_equal(frames["overlay"][~covered], frames["input"][~covered])
