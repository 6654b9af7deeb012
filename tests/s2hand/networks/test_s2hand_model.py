"""The whole model: what it predicts from an image and its camera."""

from dataclasses import fields, replace

import pytest
import torch

from s2hand.config import PRESETS, ModelConfig, S2HandConfig
from s2hand.model import REFERENCE_FOCAL, UPRIGHT_ORIENT, S2Hand, crop_to_camera

SIZE = 32
SMALL = S2HandConfig(model=ModelConfig(encoder="small", pretrained="none", image_size_px=SIZE))


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
    prediction = model(torch.rand(2, 3, SIZE, SIZE), intrinsics)
    seen = prediction.joints @ intrinsics.transpose(1, 2)
    torch.testing.assert_close(prediction.projected_keypoints_px, seen[..., :2] / seen[..., 2:])
    assert prediction.vertices.shape == (2, 778, 3)


def test_all_parameters_but_unused_ones_learn():
    model = S2Hand(SMALL)
    prediction = model(torch.rand(4, 3, SIZE, SIZE), camera().expand(4, 3, 3))
    (prediction.projected_keypoints_px.square().sum() + prediction.vertices.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_mean_shape_replaces_the_coefficients():
    torch.manual_seed(0)
    model = S2Hand(with_model(use_mean_shape=True)).eval()
    prediction = model(torch.rand(2, 3, SIZE, SIZE), camera().expand(2, 3, 3))
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
    prediction = model(torch.rand(2, 3, SIZE, SIZE), camera(90.0, 100.0, -30.0).expand(2, 3, 3))
    torch.testing.assert_close(
        prediction.transl, torch.tensor([[0.0, 0.0, 0.65]]).expand(2, 3), atol=0.01, rtol=0
    )


def test_bfloat16_touches_the_convolutions_only():
    torch.manual_seed(0)
    config = replace(SMALL, optimiser=replace(SMALL.optimiser, precision="bfloat16"))
    model = S2Hand(config).eval()
    images = torch.rand(2, 3, SIZE, SIZE)
    prediction = model(images, camera().expand(2, 3, 3))
    exact = S2Hand(SMALL).eval()
    exact.load_state_dict(model.state_dict())
    reference = exact(images, camera().expand(2, 3, 3))
    for each in fields(prediction):
        assert getattr(prediction, each.name).dtype == torch.float32
    assert not torch.equal(prediction.hand_pose, reference.hand_pose)
    torch.testing.assert_close(prediction.joints, reference.joints, atol=5e-3, rtol=0)


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_presets_build_and_reconstruct(preset):
    config = PRESETS[preset]
    config = replace(config, model=replace(config.model, pretrained="none", image_size_px=64))
    model = S2Hand(config).eval()
    with torch.no_grad():
        prediction = model(torch.rand(1, 3, 64, 64), camera(120.0, 31.5, 31.5)[None])
    assert prediction.joints.isfinite().all()
    assert (prediction.joints[..., 2] > 0.3).all()


def test_weights_hold_nothing_of_the_hand_model(model):
    assert not any(name.startswith("hand_layer") for name in model.state_dict())
