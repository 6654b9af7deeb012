"""Hands put back into pictures of any size: seen where they were cut out, left ones too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from s2hand.geometry.cameras import project, turned_view
from s2hand.inference import Predictor
from s2hand.keypoints.hands import FoundHand
from s2hand.picture_drawing import draw_from_side, draw_on_picture
from s2hand.reconstruction import box_of, reconstruct, reconstruct_found

CAMERA = np.array([[300.0, 0, 130.0], [0, 310.0, 90.0], [0, 0, 1]])
BOX = (150.0, 20.0, 230.0, 110.0)


@pytest.fixture
def picture() -> np.ndarray:
    """Red tells the column, green the row."""
    pixels = np.zeros((200, 256, 3), np.uint8)
    pixels[..., 0] = np.arange(256)
    pixels[..., 1] = np.arange(200)[:, None]
    return pixels


def test_a_whole_square_picture_is_resized_and_predicted(model):
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    camera = np.array([[200.0, 0, 47.5], [0, 200, 47.5], [0, 0, 1]])
    found = reconstruct(Predictor(model), pixels, camera)
    small = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR))
    # Pillow's transform cuts off what its resize rounds.
    np.testing.assert_allclose(found.crop.astype(int), small, atol=1)
    images = torch.from_numpy(found.crop.copy()).permute(2, 0, 1)[None] / 255
    small_camera = torch.tensor([[[200 / 3, 0, 15.5], [0, 200 / 3, 15.5], [0, 0, 1]]])
    expected = Predictor(model).predict(images, small_camera).hand
    np.testing.assert_allclose(found.vertices, expected.vertices[0], atol=1e-5)
    keypoints_px = (expected.projected_keypoints_px[0].numpy() + 0.5) * 3 - 0.5
    np.testing.assert_allclose(found.keypoints_px, keypoints_px, atol=1e-3)
    np.testing.assert_array_equal(found.box_px, [-0.5, -0.5, 95.5, 95.5])


@pytest.mark.parametrize(
    "box",
    [
        BOX,
        (100.0, 60.0, 112.0, 70.0),
        (100.0, 60.0, 101.0, 61.0),
        (200.0, 100.0, 320.0, 260.0),
    ],
)
def test_the_crop_shows_what_lies_in_the_box(model, picture, box):
    """Enlarged, shrunk, and over the picture's edge."""
    found = reconstruct(Predictor(model), picture, CAMERA, box_px=box)
    x0, y0, x1, y1 = found.box_px
    assert x1 - x0 == pytest.approx(max(box[2] - box[0], box[3] - box[1]))
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    view = turned_view(torch.from_numpy(CAMERA), torch.from_numpy(found.box_px), 32)
    rows, columns = np.mgrid[:32, :32]
    places = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    seen = places @ np.linalg.inv(view.pixel_map.numpy()).T
    seen_px = seen[..., :2] / seen[..., 2:]
    blur = max(1, (x1 - x0) / 32)
    inside = ((seen_px > blur) & (seen_px < np.array([255, 199]) - blur)).all(axis=-1)
    assert inside.sum() > 150
    np.testing.assert_allclose(found.crop[inside][:, :2], seen_px[inside] - 0.5, atol=1.1)
    outside = ((seen_px < -blur) | (seen_px > np.array([255, 199]) + blur)).any(axis=-1)
    assert not found.crop[outside].any()


def test_a_crop_of_whole_pixels_is_the_picture_s_own(config, make_model):
    model = make_model(replace(config, model=replace(config.model, frame="dataset_camera")))
    pixels = np.random.default_rng(0).integers(0, 255, (200, 256, 3), dtype=np.uint8)
    box = (99.5, 59.5, 131.5, 91.5)
    found = reconstruct(Predictor(model), pixels, CAMERA, box_px=box)
    np.testing.assert_array_equal(found.crop, pixels[60:92, 100:132])


@pytest.mark.parametrize("frame", ["turned_camera", "dataset_camera"])
@pytest.mark.parametrize("is_left", [False, True])
def test_keypoints_are_the_joints_in_the_picture_s_camera(
    config, make_model, picture, frame, is_left
):
    model = make_model(replace(config, model=replace(config.model, frame=frame)))
    found = reconstruct(Predictor(model), picture, CAMERA, box_px=BOX, is_left=is_left)
    expected = project(torch.from_numpy(found.joints), torch.from_numpy(CAMERA))
    np.testing.assert_allclose(found.keypoints_px, expected, atol=0.01)
    if frame == "turned_camera":  # an untrained head puts hands into the crop's middle
        x0, y0, x1, y1 = found.box_px
        centre = found.keypoints_px.mean(axis=0)
        assert x0 < centre[0] < x1
        assert y0 < centre[1] < y1


@pytest.mark.parametrize("is_left", [False, True])
def test_a_hand_seen_without_a_camera_is_put_where_the_picture_s_camera_sees_it(
    config, make_model, picture, is_left
):
    """The perspective model of the same weights, whose depth means the same, sees it there."""
    flat = replace(config, model=replace(config.model, projection="orthographic"))
    found, perspective = (
        reconstruct(Predictor(make_model(each)), picture, CAMERA, box_px=BOX, is_left=is_left)
        for each in (flat, config)
    )
    np.testing.assert_allclose(found.vertices, perspective.vertices, atol=1e-6)
    np.testing.assert_allclose(found.parameters.transl, perspective.parameters.transl, atol=1e-6)
    side = BOX[3] - BOX[1]
    assert 0 < np.abs(found.keypoints_px - perspective.keypoints_px).max() < 0.1 * side


def test_a_left_hand_is_the_mirrored_picture_s_right_hand(model, picture):
    left = reconstruct(Predictor(model), picture, CAMERA, box_px=BOX, is_left=True)
    camera = np.array([[300.0, 0, 255 - 130.0], [0, 310.0, 90.0], [0, 0, 1]])
    box = (255 - BOX[2], BOX[1], 255 - BOX[0], BOX[3])
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    right = reconstruct(Predictor(model), mirrored, camera, box_px=box)
    np.testing.assert_allclose(left.vertices, right.vertices * [-1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(left.keypoints_px[:, 0], 255 - right.keypoints_px[:, 0], atol=1e-3)
    np.testing.assert_allclose(left.keypoints_px[:, 1], right.keypoints_px[:, 1], atol=1e-3)
    torch.testing.assert_close(left.parameters.transl, right.parameters.transl)
    assert (left.is_left, right.is_left) == (True, False)
    # Its faces are seen from outside, too: the volume that they enclose has the same sign.
    assert volume(left) == pytest.approx(volume(right), rel=1e-4)
    assert volume(right) > 0


def volume(hand) -> float:
    corners = (hand.vertices - hand.vertices.mean(axis=0))[hand.faces]
    return float(np.linalg.det(corners).sum() / 6)


@pytest.mark.parametrize("albedo", ["vertex", "face"])
def test_colours_are_the_model_s_albedo(config, make_model, picture, albedo):
    model = make_model(replace(config, model=replace(config.model, albedo=albedo)))
    found = reconstruct(Predictor(model), picture, CAMERA, box_px=BOX)
    images = torch.from_numpy(found.crop.copy()).permute(2, 0, 1)[None] / 255
    straight = torch.eye(3)[None]
    with torch.no_grad():
        appearance = model(images, straight, straight, outputs={"appearance"}).appearance
    expected = appearance.albedo[0].clamp(0, 1).numpy()
    if albedo == "face":
        around = (found.faces == 5).any(axis=1)
        np.testing.assert_allclose(found.colours[5], expected[around].mean(axis=0), atol=1e-5)
    else:
        np.testing.assert_allclose(found.colours, expected, atol=1e-5)


def test_a_model_without_a_texture_gives_grey_hands(model, picture):
    del model.texture_light_head
    found = reconstruct(Predictor(model), picture, CAMERA)
    assert (found.colours == found.colours[0, 0]).all()


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((10.0, 10.0, 10.5, 40.0), "at least a pixel wide"),
        ((10.0, 10.0, 40.0, 10.5), "at least a pixel wide"),
        ((10.0, 10.0, float("nan"), 40.0), "at least a pixel wide"),
        ((300.0, 10.0, 340.0, 50.0), "must lie in the picture of 256×200 px"),
        ((-1e6, -1e6, 1e6, 1e6), "reaches beyond its horizon"),
    ],
)
def test_boxes_that_cannot_be_looked_at_are_refused(model, picture, box, told):
    camera = CAMERA if abs(box[0]) < 1e5 else np.array([[9.0, 0, -4e5], [0, 9, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match=told):
        reconstruct(Predictor(model), picture, camera, box_px=box)


@pytest.mark.parametrize(
    ("box", "inwards"),
    [
        ((-40.0, 10.0, -0.5, 50.0), (1, 0)),
        ((10.0, -40.0, 50.0, -0.5), (0, 1)),
        ((255.5, 10.0, 300.0, 50.0), (-1, 0)),
        ((10.0, 199.5, 50.0, 240.0), (0, -1)),
    ],
)
def test_a_box_must_reach_into_the_picture(model, picture, box, inwards):
    with pytest.raises(ValueError, match="must lie in the picture"):
        reconstruct(Predictor(model), picture, CAMERA, box_px=box)
    reaching = tuple(np.add(box, 0.1 * np.tile(inwards, 2)).tolist())
    reconstruct(Predictor(model), picture, CAMERA, box_px=reaching)


@pytest.mark.parametrize(
    "entry", [(0, 0, 0.0), (1, 1, -5.0), (1, 0, 0.1), (2, 2, 2.0), (0, 2, np.inf)]
)
def test_what_is_no_camera_is_refused(model, picture, entry):
    camera = CAMERA.copy()
    camera[entry[:2]] = entry[2]
    with pytest.raises(ValueError, match="a camera matrix must be"):
        reconstruct(Predictor(model), picture, camera)


@pytest.mark.parametrize("enlarged", [1, 8])
def test_a_hand_is_drawn_where_it_is(model, picture, enlarged):
    hand = reconstruct(Predictor(model), picture, CAMERA, box_px=BOX, is_left=True)
    black = np.zeros((200 * enlarged, 256 * enlarged, 3), np.uint8)
    # The camera of the picture enlarged: its pixels' centres move.
    grown = np.array([[enlarged, 0, (enlarged - 1) / 2], [0, enlarged, (enlarged - 1) / 2],
                      [0, 0, 1]]) @ CAMERA  # fmt: skip
    drawn = draw_on_picture(black, [replace(hand, intrinsics_px=grown)])
    assert max(drawn.shape) == min(256 * enlarged, 1600)
    scale = drawn.shape[1] / 256
    vertices_px = project(torch.from_numpy(hand.vertices), torch.from_numpy(CAMERA)).numpy()
    rows, columns = np.nonzero(drawn.any(axis=-1))
    expected_px = (vertices_px + 0.5) * scale - 0.5
    for found, expected in zip((columns, rows), expected_px.T, strict=True):
        assert found.min() == pytest.approx(expected.min(), abs=1.5)
        assert found.max() == pytest.approx(expected.max(), abs=1.5)
    side = draw_from_side(hand)
    assert side.shape == (512, 512, 3)
    assert 0.05 < (side < 250).all(axis=-1).mean() < 0.9


def found_hand(points_px, right, confidence=1.0) -> FoundHand:
    keypoints_px = np.zeros((21, 2), np.float32)
    keypoints_px[: len(points_px)] = np.reshape(points_px, (-1, 2))
    is_found = np.arange(21) < len(points_px)
    return FoundHand(
        keypoints_px=keypoints_px,
        confidence=np.where(is_found, confidence, 0).astype(np.float32),
        right=right,
    )


def test_the_box_of_a_detected_hand_is_square_around_the_points_that_were_found():
    points_px = [(100.0, 60.0), (140.0, 70.0), (120.0, 80.0)]
    # 40 px wide, 20 high, about (120, 70); one and a half times 40 px are looked at.
    assert box_of(found_hand(points_px, 1.0, 0.2)) == (90, 40, 150, 100)
    assert box_of(found_hand([(7.0, 9.0)], 1.0)) == (6.5, 8.5, 7.5, 9.5)
    with pytest.raises(ValueError, match="must have a point with a confidence above 0"):
        box_of(found_hand([], 1.0))


def test_hands_that_were_found_come_out_as_each_by_itself(model, picture):
    found = [
        found_hand([(100.0, 60.0), (140.0, 70.0)], 0.9),
        found_hand([(60.0, 60.0), (80.0, 110.0)], 0.1),
    ]
    predictor = Predictor(model)
    hands = reconstruct_found(predictor, picture, CAMERA, found)
    assert [hand.is_left for hand in hands] == [False, True]
    for hand, place in zip(hands, found, strict=True):
        alone = reconstruct(
            predictor, picture, CAMERA, box_px=box_of(place), is_left=place.right < 0.5
        )
        np.testing.assert_allclose(hand.vertices, alone.vertices, atol=1e-6)
        np.testing.assert_allclose(hand.keypoints_px, alone.keypoints_px, atol=1e-3)
        np.testing.assert_allclose(hand.colours, alone.colours, atol=1e-6)
        np.testing.assert_array_equal(hand.crop, alone.crop)
        torch.testing.assert_close(hand.parameters.betas, alone.parameters.betas)
        assert hand.parameters.betas.shape == (1, 10)
    assert reconstruct_found(predictor, picture, CAMERA, []) == []


def test_the_nearer_hand_is_drawn_over_the_farther(model, picture):
    near = reconstruct(Predictor(model), picture, CAMERA, box_px=BOX)
    far = replace(near, vertices=near.vertices + np.array([0.01, 0, 0.1]))
    covered = (draw_on_picture(picture, [near]) != picture).any(axis=-1)
    expected = draw_on_picture(picture, [near])[covered].astype(int)
    for hands in ([near, far], [far, near]):
        drawn = draw_on_picture(picture, hands)
        # At the outline what lies behind shines through.
        assert (np.abs(drawn[covered] - expected).max(axis=-1) <= 1).mean() > 0.8
        assert (drawn[~covered] != picture[~covered]).any()
