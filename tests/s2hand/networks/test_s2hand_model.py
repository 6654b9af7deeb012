"""The whole model: what it predicts from an image and its camera."""

from dataclasses import fields, replace

import pytest
import torch

from s2hand.config import (
    PRESETS,
    DataConfig,
    LossConfig,
    ModelConfig,
    QuaternionPhase,
    S2HandConfig,
)
from s2hand.geometry.cameras import CameraView, project, turn_in_plane, turned_view
from s2hand.geometry.rotations import axis_angle_to_matrix, axis_angle_to_quaternion
from s2hand.loss_table import TERMS, LossWeights
from s2hand.losses.motion import quaternion_loss
from s2hand.model import REFERENCE_FOCAL, UPRIGHT_ORIENT, S2Hand, reference_to_camera
from s2hand.networks.geometry_head import HandParameters
from s2hand.rendering import render

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


def unturned(count):
    return torch.eye(3).expand(count, 3, 3)


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
    prediction = model(torch.rand(2, 3, SIZE, SIZE), intrinsics, unturned(2)).hand
    seen = prediction.joints @ intrinsics.transpose(1, 2)
    torch.testing.assert_close(prediction.projected_keypoints_px, seen[..., :2] / seen[..., 2:])
    assert prediction.vertices.shape == (2, 778, 3)


def test_all_parameters_learn():
    model = S2Hand(SMALL)
    images = torch.rand(4, 3, SIZE, SIZE)
    prediction = model(images, camera().expand(4, 3, 3), unturned(4), outputs=model.outputs)
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
        prediction = model(images, intrinsics, unturned(2), outputs=outputs)
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


def test_a_loss_that_a_schedule_adds_brings_its_parts(monkeypatch):
    term = replace(TERMS["quaternion"], outputs=frozenset({"heatmaps"}))
    monkeypatch.setitem(TERMS, "quaternion", term)
    weights = LossWeights(**dict.fromkeys(TERMS, 0.0))
    later = QuaternionPhase(from_epoch=1, frame_interval=1, num_frames=2, weight=0.5)
    stage = replace(SMALL.stages[-1], samples="clips", branch="both", epochs=2)
    config = replace(
        SMALL, losses=LossConfig(weights=weights), data=DataConfig(dataset="ho3d"),
        stages=(stage,), quaternion_schedule=(later,),
    )  # fmt: skip
    assert "keypoint_estimator" in S2Hand(config).parts
    before = replace(config, stages=(replace(stage, epochs=1),))
    assert "keypoint_estimator" not in S2Hand(before).parts


def test_the_untrained_hand_has_the_mean_colour_and_is_seen(model):
    prediction = model(
        torch.rand(1, 3, SIZE, SIZE),
        camera()[None],
        unturned(1),
        outputs=("appearance", "rendering"),
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
        torch.rand(1, 3, SIZE, SIZE),
        camera()[None],
        unturned(1),
        outputs=("appearance", "rendering"),
    )
    assert prediction.appearance.texture.shape == (1, 1538, 3)
    assert prediction.rendering.image.isfinite().all()


def test_mean_shape_replaces_the_coefficients():
    torch.manual_seed(0)
    model = S2Hand(with_model(use_mean_shape=True)).eval()
    prediction = model(torch.rand(2, 3, SIZE, SIZE), camera().expand(2, 3, 3), unturned(2)).hand
    assert torch.equal(prediction.betas, torch.zeros(2, 10))


def test_convention_the_reference_camera_s_translation_is_unchanged_in_it():
    transl = torch.tensor([[0.03, -0.02, 0.65]])
    torch.testing.assert_close(reference_to_camera(transl, camera()[None], SIZE), transl)


@pytest.mark.parametrize(("zoom", "x", "y"), [(1.0, 100.0, -30.0), (2.5, 15.5, 15.5)])
def test_the_translation_lands_on_the_same_pixel_in_every_camera(zoom, x, y):
    transl = torch.tensor([[0.03, -0.02, 0.65]])
    other = camera(REFERENCE_FOCAL * SIZE * zoom, x, y)

    def pixel(intrinsics):
        seen = intrinsics @ reference_to_camera(transl, intrinsics[None], SIZE)[0]
        return seen[:2] / seen[2]

    torch.testing.assert_close(pixel(other), pixel(camera()))


STORED = torch.tensor([[614.6, 0, 322.3], [0, 614.6, 237.9], [0, 0, 1]], dtype=torch.float64)
DISPLACEMENTS_PX = torch.tensor(
    [[0, 0], [40, -30], [100, 0], [-120, 160], [220, 200], [-300, 0], [212, -212]]
).double()


def turned_crops(angle_rad=0.0, size=SIZE, side_px=240.0, displacements_px=DISPLACEMENTS_PX):
    """Equal boxes anywhere in the picture."""
    centres = STORED[:2, 2] + displacements_px
    boxes = torch.cat((centres - side_px / 2, centres + side_px / 2), dim=1)
    view = turned_view(STORED.expand(len(boxes), 3, 3), boxes, size)
    return turn_in_plane(view, torch.full((len(boxes),), angle_rad).double(), size)


def precise_model(**changes):
    torch.manual_seed(0)
    return S2Hand(with_model(**changes)).eval().double()


def network_output(count, *, same=True, seed=4):
    generator = torch.Generator().manual_seed(seed)
    sizes = {"hand_pose_pca": 30, "betas": 10, "global_orient": 3, "transl": 3}
    values = {
        name: 0.5 * torch.randn(1 if same else count, size, generator=generator).double()
        for name, size in sizes.items()
    }
    values["transl"] = 0.1 * values["transl"] + torch.tensor([0.0, 0, 0.65])
    values["scale"] = torch.full((1, 1), 0.9).double()
    return HandParameters(**{name: value.expand(count, -1) for name, value in values.items()})


def decode(model, parameters, view):
    """Decode as if the head had regressed the parameters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.head), "forward", lambda *_: parameters)
        features = torch.zeros(len(view.rotation), 1).double()
        return model._decode(features, view.intrinsics_px, view.rotation)


@pytest.mark.parametrize("rotation_centre", ["wrist", "origin_flipped"])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_the_same_network_output_shows_the_same_anywhere_in_the_picture(rotation_centre, angle):
    model, view = precise_model(rotation_centre=rotation_centre), turned_crops(angle, size=224)
    hand = decode(model, network_output(len(view.rotation)), view)
    # By way of the whole picture: the dataset camera's pixels, moved into the crop.
    stored = project(hand.joints, STORED.expand(len(hand.joints), 3, 3))
    homogeneous = torch.cat((stored, torch.ones_like(stored[..., :1])), dim=-1)
    moved = homogeneous @ view.pixel_map.mT
    in_crop = moved[..., :2] / moved[..., 2:]
    torch.testing.assert_close(in_crop, in_crop[:1].expand_as(in_crop), atol=0.01, rtol=0)
    torch.testing.assert_close(hand.projected_keypoints_px, in_crop, atol=1e-6, rtol=0)


def test_affine_crops_show_the_same_network_output_differently():
    """What turned cameras are for: a hand that keeps its rotation is seen from other sides."""
    model = precise_model()
    view, size = turned_crops(size=224), 224
    parameters = network_output(len(view.rotation))
    shifted = view.intrinsics_px.clone()
    shifted[:, :2, 2] -= DISPLACEMENTS_PX * size / 240
    affine = CameraView(
        pixel_map=view.pixel_map, intrinsics_px=shifted, rotation=unturned(7).double()
    )
    keypoints_px = decode(model, parameters, affine).projected_keypoints_px
    moved = (keypoints_px - keypoints_px[:1]).norm(dim=-1).amax(dim=1)
    assert moved[0] == 0
    assert (moved[2:] > 0.5).all()


@pytest.mark.parametrize("rotation_centre", ["wrist", "origin_flipped"])
def test_predicted_parameters_pose_the_predicted_hand(rotation_centre):
    """All of a prediction is in one frame, the dataset camera's."""
    model, view = precise_model(rotation_centre=rotation_centre), turned_crops(0.3)
    hand = decode(model, network_output(len(view.rotation), same=False), view)
    names = ("betas", "hand_pose_pca", "global_orient", "transl", "scale")
    posed = model.hand_layer(**{name: getattr(hand, name) for name in names})
    torch.testing.assert_close(posed.joints, hand.joints)
    torch.testing.assert_close(posed.vertices, hand.vertices)


@pytest.mark.parametrize("angle", [0.0, 2.5])
def test_a_hand_that_only_translates_has_no_quaternion_loss(angle):
    """Perfect predictions: each frame's network says how its own camera sees the hand."""
    model = precise_model()
    travel = torch.linspace(-0.2, 0.25, 5, dtype=torch.float64)
    transl = torch.stack((travel, 0.05 - travel.square(), 0.6 + 0.1 * travel), dim=1)
    truth = replace(network_output(5), transl=transl)
    hand = model.hand_layer(**{each.name: getattr(truth, each.name) for each in fields(truth)})
    wrist_px = project(hand.joints, STORED.expand(5, 3, 3))[:, 0]
    view = turned_crops(angle, displacements_px=wrist_px - STORED[:2, 2])
    orient, seen_transl = model.hand_layer.turned(
        view.rotation.mT, betas=truth.betas, global_orient=truth.global_orient, transl=transl,
        scale=truth.scale,
    )  # fmt: skip
    # A depth of the reference camera's for the view's focal length; principal points are central.
    reference = REFERENCE_FOCAL * SIZE / view.intrinsics_px[:, :1, 0]
    seen_transl = seen_transl * torch.cat((torch.ones(5, 2), reference), dim=1)
    seen = replace(truth, global_orient=orient, transl=seen_transl)
    prediction = decode(model, seen, view)
    torch.testing.assert_close(prediction.joints, hand.joints, atol=1e-9, rtol=0)
    torch.testing.assert_close(prediction.transl, transl, atol=1e-9, rtol=0)

    def loss(axis_angle):
        return quaternion_loss(axis_angle_to_quaternion(axis_angle[None, :, None])).mean()

    assert loss(prediction.global_orient) < 1e-7
    assert loss(seen.global_orient) > 0.01


def test_decoding_has_the_gradients_of_finite_differences():
    model, view = precise_model(), turned_crops(0.4, displacements_px=DISPLACEMENTS_PX[3:5])
    names = ("betas", "global_orient", "transl", "scale")
    given = network_output(2, same=False)

    def decoded(*values):
        parameters = replace(given, **dict(zip(names, values, strict=True)))
        hand = decode(model, parameters, view)
        return hand.global_orient, hand.transl, hand.vertices, hand.projected_keypoints_px

    inputs = [getattr(given, name).clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(decoded, inputs, fast_mode=True)


def test_the_rendered_hand_lies_over_its_place_in_the_whole_picture():
    """Drawing with the turned camera is drawing with the dataset camera and moving the pixels."""
    torch.manual_seed(0)
    size = 96
    model = S2Hand(with_model(image_size_px=size)).eval()
    view = turned_crops(0.5, size=size, side_px=200.0)
    count = len(view.rotation)
    rotation, intrinsics_px = view.rotation.float(), view.intrinsics_px.float()
    prediction = model(
        torch.rand(count, 3, size, size), intrinsics_px, rotation, outputs=("appearance",)
    )
    light = prediction.appearance.lighting
    # The light's direction is in the input camera's frame.
    in_dataset = replace(light, direction=(rotation @ light.direction[..., None]).squeeze(-1))
    drawn = model.render(prediction.hand.vertices, prediction.appearance, intrinsics_px, rotation)
    zoom = 3
    enlarge = torch.tensor([[zoom, 0, zoom / 2 - 0.5], [0, zoom, zoom / 2 - 0.5], [0, 0, 1]])
    whole = render(
        prediction.hand.vertices,
        model.topology,
        prediction.appearance.albedo,
        in_dataset,
        (enlarge.double() @ STORED).float().expand(count, 3, 3),
        height=zoom * 480,
        width=zoom * 640,
    )
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pixels = torch.stack((x, y, torch.ones_like(x)), dim=-1).reshape(-1, 3).double()
    seen = pixels @ (enlarge.double() @ torch.linalg.inv(view.pixel_map)).mT
    place = seen[..., :2] / seen[..., 2:]
    grid = (place + 0.5) / (zoom * torch.tensor([320.0, 240.0])) - 1
    moved = torch.nn.functional.grid_sample(
        whole.image, grid.view(count, size, size, 2).float(), align_corners=False
    )
    inside = (grid.abs() < 0.99).all(dim=-1).view(count, 1, size, size)
    difference = ((moved - drawn.image).abs() * inside).amax(dim=1)
    covered = (drawn.silhouette > 0.99) & inside[:, 0]
    assert (covered.flatten(1).sum(dim=1) > 50).sum() >= 5
    assert difference[covered].mean() < 0.01
    assert difference[drawn.silhouette == 0].mean() < 1e-3


def test_in_the_dataset_camera_s_frame_the_translation_is_the_network_s():
    torch.manual_seed(0)
    model = S2Hand(with_model(frame="dataset_camera")).eval()
    images = torch.rand(2, 3, SIZE, SIZE)
    prediction = model(images, camera(90.0, 100.0, -30.0).expand(2, 3, 3), unturned(2)).hand
    torch.testing.assert_close(
        prediction.transl, torch.tensor([[0.0, 0.0, 0.65]]).expand(2, 3), atol=0.01, rtol=0
    )


def test_without_a_turn_the_hand_is_the_one_that_the_network_says():
    """The released preset on its affine crops: nothing is done to what the head regresses."""
    for rotation_centre in ("wrist", "origin_flipped"):
        model = precise_model(frame="dataset_camera", rotation_centre=rotation_centre)
        parameters = network_output(3, same=False)
        intrinsics_px = camera(90.0, 100.0, -30.0).double().expand(3, 3, 3)
        view = CameraView(
            pixel_map=intrinsics_px, intrinsics_px=intrinsics_px, rotation=unturned(3).double()
        )
        hand = decode(model, parameters, view)
        names = [each.name for each in fields(parameters)]
        expected = model.hand_layer(**{name: getattr(parameters, name) for name in names})
        torch.testing.assert_close(hand.joints, expected.joints, atol=1e-12, rtol=0)
        torch.testing.assert_close(hand.transl, parameters.transl, atol=1e-12, rtol=0)
        torch.testing.assert_close(
            axis_angle_to_matrix(hand.global_orient), axis_angle_to_matrix(parameters.global_orient)
        )


def test_bfloat16_touches_the_convolutions_only():
    torch.manual_seed(0)
    config = replace(SMALL, optimiser=replace(SMALL.optimiser, precision="bfloat16"))
    model = S2Hand(config).eval()
    images = torch.rand(2, 3, SIZE, SIZE)
    whole = model(images, camera().expand(2, 3, 3), unturned(2), outputs=model.outputs)
    prediction = whole.hand
    exact = S2Hand(SMALL).eval()
    exact.load_state_dict(model.state_dict())
    reference = exact(images, camera().expand(2, 3, 3), unturned(2)).hand
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
        prediction = model(
            torch.rand(1, 3, 64, 64), camera(120.0, 31.5, 31.5)[None], unturned(1)
        ).hand
    assert prediction.joints.isfinite().all()
    assert (prediction.joints[..., 2] > 0.3).all()


def test_weights_hold_nothing_of_the_hand_model(model):
    assert not any(name.startswith("hand_layer") for name in model.state_dict())
