"""The orthographic model: a scaled parallel projection, by what the head's depth means."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2hand.config import ModelConfig, S2HandConfig
from s2hand.errors import ConfigurationError
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.model import REFERENCE_FOCAL, UPRIGHT_ORIENT, S2Hand
from s2hand.networks.geometry_head import HandParameters
from s2hand.prediction import Appearance
from s2hand.rendering import Lighting, render

SIZE = 32
CENTRE = (SIZE - 1) / 2
PERSPECTIVE = S2HandConfig(
    model=ModelConfig(
        encoder="convnet",
        pretrained="none",
        image_size_px=SIZE,
        keypoint_stacks=1,
        keypoint_channels=8,
    )
)
ORTHOGRAPHIC = replace(PERSPECTIVE, model=replace(PERSPECTIVE.model, projection="orthographic"))
REFERENCE = torch.tensor(
    [[REFERENCE_FOCAL * SIZE, 0, CENTRE], [0, REFERENCE_FOCAL * SIZE, CENTRE], [0, 0, 1]]
).double()


def make_model(config):
    torch.manual_seed(0)
    return S2Hand(config).double().eval()


@pytest.fixture(scope="module")
def orthographic():
    return make_model(ORTHOGRAPHIC)


@pytest.fixture(scope="module")
def perspective():
    return make_model(PERSPECTIVE)


def network_output(transl, *, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def some(size):
        return torch.randn(1, size, generator=generator, dtype=torch.float64)

    return HandParameters(
        hand_pose_pca=some(30),
        betas=0.5 * some(10),
        global_orient=torch.tensor([UPRIGHT_ORIENT]).double() + 0.5 * some(3),
        transl=torch.tensor([transl], dtype=torch.float64),
        scale=torch.tensor([[0.9]], dtype=torch.float64),
    )


def decode(model, parameters, rotation=None, intrinsics=None):
    """Decode as if the head had regressed the parameters."""
    rotation = torch.eye(3).double()[None] if rotation is None else rotation
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.head), "forward", lambda *_: parameters)
        return model._decode(torch.zeros(1, 1).double(), intrinsics, rotation)


TRANSL = st.tuples(
    st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(0.2, 2.0, exclude_min=True)
)


@given(transl=TRANSL, seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_a_pixel_is_the_scaled_offset_from_the_image_s_centre(orthographic, transl, seed):
    hand = decode(orthographic, network_output(transl, seed=seed))
    metres = hand.joints[0, :, :2]
    expected = 2.14 * SIZE / transl[2] * metres + CENTRE
    torch.testing.assert_close(hand.projected_keypoints_px[0], expected, atol=1e-9, rtol=1e-12)


@given(transl=TRANSL, seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_it_is_what_a_camera_sees_from_ever_farther_away(orthographic, transl, seed):
    """With a focal length that grows alike; what is left of the difference falls with 1/n."""
    hand = decode(orthographic, network_output(transl, seed=seed))
    errors = []
    for times in (1e3, 1e4):
        camera = REFERENCE.clone()
        camera[:2, :2] *= times
        moved = hand.joints[0] + torch.tensor([0, 0, (times - 1) * transl[2]]).double()
        seen = moved @ camera.T
        errors.append(
            float((seen[:, :2] / seen[:, 2:] - hand.projected_keypoints_px[0]).abs().max())
        )
    assert errors[0] < 1e-3 * (1 + 2.14 * SIZE / transl[2] ** 2)
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.05, abs=1e-9)


def test_the_head_means_the_same_under_both(orthographic, perspective):
    """In the reference camera: one hand, at one place, and near it almost one picture."""
    parameters = network_output((0.03, -0.02, 0.65))
    flat = decode(orthographic, parameters)
    true = decode(perspective, parameters, intrinsics=REFERENCE[None])
    for name in ("joints", "vertices", "transl", "global_orient", "scale"):
        torch.testing.assert_close(getattr(flat, name), getattr(true, name))
    difference = (flat.projected_keypoints_px - true.projected_keypoints_px).abs()
    assert 0 < difference.max() < 0.1 * SIZE
    at_depth = torch.tensor([0.05, 0.01, 0.65]).double()
    torch.testing.assert_close(
        (REFERENCE @ at_depth)[:2] / 0.65,
        (flat.camera_px[0] @ at_depth.new_tensor([0.05, 0.01, 1]))[:2],
    )


def test_no_camera_is_read():
    torch.manual_seed(0)
    model = S2Hand(ORTHOGRAPHIC).eval()
    images = torch.rand(2, 3, SIZE, SIZE)
    rotation = axis_angle_to_matrix(torch.tensor([[0.3, -0.1, 0.2], [0, 0, 1.0]]))
    camera = torch.tensor([[500.0, 0, 3], [0, 400, 90], [0, 0, 1]]).expand(2, 3, 3)
    with torch.no_grad():
        known, unknown = (
            model(images, each, rotation, outputs=model.outputs) for each in (camera, None)
        )
    assert torch.equal(known.hand.vertices, unknown.hand.vertices)
    assert torch.equal(known.hand.projected_keypoints_px, unknown.hand.projected_keypoints_px)
    assert torch.equal(known.rendering.image, unknown.rendering.image)
    assert known.rendering.silhouette.sum() > 10


def test_a_turned_input_turns_the_hand_and_keeps_its_picture(orthographic):
    """Predictions are in the dataset camera's frame; the picture is the input's."""
    parameters = network_output((0.02, 0.01, 0.6))
    rotation = axis_angle_to_matrix(torch.tensor([[0.2, 0.4, -0.3]]).double())
    straight, turned = (decode(orthographic, parameters, each) for each in (None, rotation))
    torch.testing.assert_close(turned.joints, straight.joints @ rotation.mT)
    torch.testing.assert_close(turned.projected_keypoints_px, straight.projected_keypoints_px)


def test_decoding_has_the_gradients_of_finite_differences(orthographic):
    names = ("betas", "global_orient", "transl", "scale")
    given_output = network_output((0.03, -0.02, 0.7))
    rotation = axis_angle_to_matrix(torch.tensor([[0.1, 0.2, 0.3]]).double())

    def decoded(*values):
        parameters = replace(given_output, **dict(zip(names, values, strict=True)))
        hand = decode(orthographic, parameters, rotation)
        return hand.projected_keypoints_px, hand.camera_px, hand.vertices

    inputs = [getattr(given_output, name).clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(decoded, inputs, fast_mode=True)


def test_it_draws_what_a_camera_sees_from_far_away(orthographic):
    """The renderer's orthographic picture is its perspective one at 10,000 times the distance."""
    hand = decode(orthographic, network_output((0.01, 0.0, 0.6)))
    light = Lighting.from_vector(
        torch.tensor([[0.5, 0.6, 1, 1, 1, 1, 0.9, 0.8, 0.3, 0.2, 0.9]]).double()
    )
    albedo = torch.rand(1, 778, 3, generator=torch.Generator().manual_seed(1)).double()
    texture = torch.atanh(albedo * 0.9)
    appearance = Appearance(texture=texture, lighting=light)
    drawn = orthographic.render(
        hand.vertices, appearance, hand.camera_px, torch.eye(3).double()[None]
    )
    times, camera = 1e4, REFERENCE.clone()
    camera[:2, :2] *= times
    far = hand.vertices + torch.tensor([0, 0, (times - 1) * 0.6]).double()
    expected = render(
        far, orthographic.topology, appearance.albedo, light, camera[None], height=SIZE, width=SIZE
    )
    assert drawn.silhouette.sum() > 50
    torch.testing.assert_close(drawn.silhouette, expected.silhouette, atol=2e-3, rtol=0)
    torch.testing.assert_close(drawn.image, expected.image, atol=2e-3, rtol=0)


def test_what_cannot_be_combined_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"projection='orthographic' needs model\.frame="):
        ModelConfig(projection="orthographic", frame="dataset_camera")


def test_the_project_s_own_weights_start_it():
    model = ModelConfig(
        encoder="convnet", pretrained="s2hand", image_size_px=64, rotation_output="quaternion",
        keypoint_stacks=1, keypoint_channels=64, hand_model="embedded",
    )  # fmt: skip
    started = [
        S2Hand(S2HandConfig(model=replace(model, projection=each)))
        for each in ("perspective", "orthographic")
    ]
    states = [each.state_dict() for each in started]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
