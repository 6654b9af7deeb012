"""The whole model: what it predicts from an image and its camera."""

from dataclasses import fields, replace

import pytest
import torch

from s2hand.config import PRESETS, ModelConfig, S2HandConfig
from s2hand.model import REFERENCE_FOCAL, UPRIGHT_ORIENT, S2Hand, crop_to_camera

SIZE = 32
SMALL = S2HandConfig(
    model=ModelConfig(
        encoder="convnet",
        pretrained="none",
        image_size_px=SIZE,
        keypoint_stacks=2,
        keypoint_channels=8,
    )
)


def with_model(**changes):
    return replace(SMALL, model=replace(SMALL.model, **changes))


def camera(focal=REFERENCE_FOCAL * SIZE, x=(SIZE - 1) / 2, y=(SIZE - 1) / 2):
    return torch.tensor([[focal, 0, x], [0, focal, y], [0, 0, 1]], dtype=torch.float32)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return S2Hand(SMALL).eval()


def test_the_untrained_hand_is_upright_and_faces_the_camera(model):
    hand = model.hand_layer(
        betas=torch.zeros(1, 10),
        hand_pose_pca=torch.zeros(1, 30),
        global_orient=torch.tensor([UPRIGHT_ORIENT]),
    )
    wrist, index, middle, little = hand.joints[0, [0, 5, 9, 17]]
    up = middle - wrist
    assert up[1] < -0.8 * up.norm()  # image y runs down
    assert index[0] > little[0]  # the thumb's side is on the right: the palm faces the camera


def test_the_projection_is_the_joints_seen_by_the_camera(model):
    intrinsics = torch.stack([camera(), camera(80.0, 3.0, 40.0)])
    prediction = model(torch.rand(2, 3, SIZE, SIZE), intrinsics).hand
    seen = prediction.joints @ intrinsics.transpose(1, 2)
    torch.testing.assert_close(prediction.projected_keypoints_px, seen[..., :2] / seen[..., 2:])
    assert prediction.vertices.shape == (2, 778, 3)


def test_all_parameters_learn():
    model = S2Hand(SMALL)
    images = torch.rand(4, 3, SIZE, SIZE)
    prediction = model(images, camera().expand(4, 3, 3), outputs=model.outputs)
    loss = prediction.rendering.image.square().sum() + prediction.hand.vertices.sum()
    (loss + prediction.heatmap_keypoints_px.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_only_what_is_asked_for_is_computed(model):
    images, intrinsics = torch.rand(2, 3, SIZE, SIZE), camera().expand(2, 3, 3)
    assert model.outputs == {"hand", "appearance", "rendering", "heatmaps"}
    called = []
    hooks = [
        part.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, part in model.parts.items()
    ]
    expected = {
        ("hand",): ["encoder", "head"],
        ("heatmaps",): ["keypoint_estimator"],
        ("rendering",): ["encoder", "head", "texture_light_head"],
    }
    for outputs, parts in expected.items():
        called.clear()
        prediction = model(images, intrinsics, outputs=outputs)
        assert called == parts
        assert (prediction.hand is None) == (outputs == ("heatmaps",))
        assert (prediction.heatmap_keypoints_px is None) == (outputs != ("heatmaps",))
    for hook in hooks:
        hook.remove()


def test_parts_that_no_loss_needs_are_not_there_and_change_nothing():
    weights = replace(
        SMALL.losses.weights, pixel=0.0, ssim=0.0, texture_prior=0.0, heatmap_keypoint=0.0,
        keypoint_consistency=0.0,
    )  # fmt: skip
    geometric = replace(SMALL, losses=replace(SMALL.losses, weights=weights))
    states = []
    for config in (SMALL, geometric):
        torch.manual_seed(3)
        states.append(S2Hand(config).state_dict())
    whole, part = states
    assert {name.split(".")[0] for name in part} == {"encoder", "head"}
    assert all(torch.equal(whole[name], value) for name, value in part.items())


def test_the_untrained_hand_has_the_mean_colour_and_is_seen(model):
    prediction = model(
        torch.rand(1, 3, SIZE, SIZE), camera()[None], outputs=("appearance", "rendering")
    )
    torch.testing.assert_close(
        prediction.appearance.albedo.mean(dim=(0, 1)),
        torch.tensor([200.0, 150.0, 150.0]).div(256).tanh(),
        atol=0.02,
        rtol=0,
    )
    covered = prediction.rendering.silhouette.mean()
    assert 0.02 < covered < 0.9


def test_the_released_preset_colours_faces():
    model = S2Hand(with_model(albedo="face")).eval()
    prediction = model(
        torch.rand(1, 3, SIZE, SIZE), camera()[None], outputs=("appearance", "rendering")
    )
    assert prediction.appearance.texture.shape == (1, 1538, 3)
    assert prediction.rendering.image.isfinite().all()


def test_mean_shape_replaces_the_coefficients():
    torch.manual_seed(0)
    model = S2Hand(with_model(use_mean_shape=True)).eval()
    prediction = model(torch.rand(2, 3, SIZE, SIZE), camera().expand(2, 3, 3)).hand
    assert torch.equal(prediction.betas, torch.zeros(2, 10))


def test_convention_the_frames_of_translation_agree_for_centred_images():
    transl = torch.tensor([[0.03, -0.02, 0.65]])
    torch.testing.assert_close(crop_to_camera(transl, camera()[None], SIZE), transl)


@pytest.mark.parametrize(("zoom", "x", "y"), [(1.0, 100.0, -30.0), (2.5, 15.5, 15.5)])
def test_in_the_crop_frame_the_crop_shows_what_the_network_said(zoom, x, y):
    """The translation lands on the same pixel wherever the crop was cut, however enlarged."""
    transl = torch.tensor([[0.03, -0.02, 0.65]])
    cropped = camera(REFERENCE_FOCAL * SIZE * zoom, x, y)

    def pixel(intrinsics):
        seen = intrinsics @ crop_to_camera(transl, intrinsics[None], SIZE)[0]
        return seen[:2] / seen[2]

    torch.testing.assert_close(pixel(cropped), pixel(camera()))


def test_in_the_camera_frame_the_translation_is_the_network_s():
    torch.manual_seed(0)
    model = S2Hand(with_model(translation_frame="camera")).eval()
    images = torch.rand(2, 3, SIZE, SIZE)
    prediction = model(images, camera(90.0, 100.0, -30.0).expand(2, 3, 3)).hand
    torch.testing.assert_close(
        prediction.transl, torch.tensor([[0.0, 0.0, 0.65]]).expand(2, 3), atol=0.01, rtol=0
    )


def test_bfloat16_touches_the_convolutions_only():
    torch.manual_seed(0)
    config = replace(SMALL, optimiser=replace(SMALL.optimiser, precision="bfloat16"))
    model = S2Hand(config).eval()
    images = torch.rand(2, 3, SIZE, SIZE)
    whole = model(images, camera().expand(2, 3, 3), outputs=model.outputs)
    prediction = whole.hand
    exact = S2Hand(SMALL).eval()
    exact.load_state_dict(model.state_dict())
    reference = exact(images, camera().expand(2, 3, 3)).hand
    assert whole.heatmap_keypoints_px.dtype == torch.float32
    assert whole.appearance.texture.dtype == whole.rendering.image.dtype == torch.float32
    for each in fields(prediction):
        assert getattr(prediction, each.name).dtype == torch.float32
    assert not torch.equal(prediction.hand_pose, reference.hand_pose)
    torch.testing.assert_close(prediction.joints, reference.joints, atol=5e-3, rtol=0)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_build_and_reconstruct(preset):
    config = PRESETS[preset]
    config = replace(config, model=replace(config.model, pretrained="none", image_size_px=64))
    model = S2Hand(config).eval()
    with torch.no_grad():
        prediction = model(torch.rand(1, 3, 64, 64), camera(120.0, 31.5, 31.5)[None]).hand
    assert prediction.joints.isfinite().all()
    assert (prediction.joints[..., 2] > 0.3).all()


def test_weights_hold_nothing_of_the_hand_model(model):
    assert not any(name.startswith("hand_layer") for name in model.state_dict())
