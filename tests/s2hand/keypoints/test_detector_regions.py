import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2hand.keypoints.detector.regions import (
    Square,
    crop,
    hand_region,
    palm_region,
    whole_picture,
)

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (8, 8, 3), np.uint8)


def square(x: float, y: float, side_px: float, angle_rad: float) -> Square:
    return Square(centre_px=np.array([x, y], np.float64), side_px=side_px, angle_rad=angle_rad)


@given(st.floats(-50, 50), st.floats(1, 99), st.floats(-7, 7))
def test_a_square_keeps_its_centre_and_is_as_long_as_its_side(x, side_px, angle_rad):
    region = square(x, 3, side_px, angle_rad)
    centre, *corners = region.to_pixels(np.array([[0.5, 0.5], [0, 0], [1, 0], [1, 1]]))
    np.testing.assert_allclose(centre, [x, 3])
    first, second = np.diff(corners, axis=0)
    np.testing.assert_allclose(np.linalg.norm([first, second], axis=1), side_px)
    np.testing.assert_allclose(np.linalg.det([first, second]), side_px**2)  # not mirrored


def test_a_square_turns_clockwise_as_seen():
    region = square(10, 20, 4.0, math.pi / 2)
    above, right = region.to_pixels(np.array([[0.5, 0.0], [1.0, 0.5]]))
    np.testing.assert_allclose(above, [12, 20])  # what the crop shows above lies to the right
    np.testing.assert_allclose(right, [10, 22])


def test_a_square_picture_s_crop_is_the_picture():
    shown = crop(PICTURE, whole_picture(8, 8), 8, repeat_edge=False)
    np.testing.assert_allclose(shown, PICTURE / 255, atol=1e-6)


def test_a_quarter_turn_shows_the_picture_turned_against_it():
    turned = whole_picture(8, 8, angle_rad=math.pi / 2)
    expected = np.rot90(PICTURE) / 255
    np.testing.assert_allclose(crop(PICTURE, turned, 8, repeat_edge=False), expected, atol=1e-5)


@pytest.mark.parametrize("is_wide", [True, False])
def test_the_rest_of_the_square_is_black_or_the_edge_goes_on(is_wide):
    part = PICTURE[2:6] if is_wide else PICTURE[:, 2:6]
    region = whole_picture(part.shape[1], part.shape[0])
    margins = ((2, 2), (0, 0), (0, 0)) if is_wide else ((0, 0), (2, 2), (0, 0))
    for repeat_edge, mode in ((False, "constant"), (True, "edge")):
        shown = crop(part, region, 8, repeat_edge=repeat_edge)
        np.testing.assert_allclose(shown, np.pad(part, margins, mode=mode) / 255, atol=1e-6)


@given(st.floats(-4, 4), st.floats(4, 12))
def test_a_ramp_is_shown_as_the_ramp_where_its_pixels_lie(angle_rad, side_px):
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    ramp = np.stack([5 * x, 7 * y, 2 * x + 3 * y], axis=-1).astype(np.uint8)
    region = square(19, 14, side_px, angle_rad)
    shown = crop(ramp, region, 5, repeat_edge=False) * 255
    places = (np.arange(5) + 0.5) / 5
    u, v = region.to_pixels(np.stack(np.meshgrid(places, places), axis=-1)).transpose(2, 0, 1)
    np.testing.assert_allclose(shown, np.stack([5 * u, 7 * v, 2 * u + 3 * v], -1), atol=0.01)


def test_the_region_of_an_upright_palm():
    points_px = RANDOM.uniform(40, 100, (7, 2))
    points_px[[0, 2]] = [[60, 100], [60, 60]]
    region = palm_region(np.array([40.0, 60, 80, 90]), points_px)
    np.testing.assert_allclose(region.centre_px, [60, 75 - 15])  # half the box's height upwards
    assert region.side_px == pytest.approx(2.6 * 40)  # of the longer side
    assert region.angle_rad == 0


@pytest.mark.parametrize(
    ("towards", "angle_rad", "centre_px"),
    [
        ([1, 0], math.pi / 2, [80, 75]),
        ([0, 1], math.pi, [60, 95]),
        ([-1, 0], -math.pi / 2, [40, 75]),
    ],
)
def test_the_region_turns_with_the_fingers(towards, angle_rad, centre_px):
    points_px = np.zeros((7, 2))
    points_px[2] = towards
    region = palm_region(np.array([40.0, 55, 80, 95]), points_px)
    assert region.angle_rad == pytest.approx(angle_rad)
    np.testing.assert_allclose(region.centre_px, centre_px)


def upright_hand() -> np.ndarray:
    """Stable points span x from 0 to 40 and y from 0 to 60; tips lie far outside."""
    points_px = np.full((21, 2), [20.0, 30.0])
    points_px[0] = [20, 60]
    points_px[[5, 9, 13]] = [[10, 25], [20, 25], [30, 25]]
    points_px[[1, 17]] = [[0, 40], [40, 40]]
    points_px[10] = [20, 0]
    points_px[[4, 7, 8, 11, 12, 15, 16, 19, 20]] = 500
    return points_px


def test_the_region_of_an_upright_hand():
    region = hand_region(upright_hand())
    np.testing.assert_allclose(region.centre_px, [20, 30 - 6])  # a tenth of its height upwards
    assert region.side_px == pytest.approx(2 * 60)
    assert region.angle_rad == pytest.approx(0)


@pytest.mark.parametrize("point", range(1, 21))
def test_tips_and_the_joints_next_to_them_do_not_count(point):
    """The others do, each where it alone lies far to the side."""
    points_px = np.full((21, 2), [20.0, 30.0])
    points_px[[0, 5, 9, 13]] = [[20, 60], [20, 20], [20, 20], [20, 20]]
    points_px[point, 0] = 120
    is_stable = point in {1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18}
    assert (hand_region(points_px).side_px > 100) == is_stable


def test_a_square_is_moved_along_its_own_axes():
    moved = square(10, 20, 4.0, math.pi / 2).moved((0.25, -0.5))
    np.testing.assert_allclose(moved.centre_px, [12, 21])
    assert (moved.side_px, moved.angle_rad) == (4.0, math.pi / 2)


def test_the_middle_base_counts_twice_for_the_direction():
    points_px = upright_hand()
    points_px[[5, 9, 13], 0] += [8, 0, 0]
    assert hand_region(points_px).angle_rad == pytest.approx(math.atan2(2, 35))
    points_px[[5, 9, 13], 0] += [-8, 8, 0]
    assert hand_region(points_px).angle_rad == pytest.approx(math.atan2(4, 35))


@given(st.floats(-3, 3), st.floats(0.1, 5), st.floats(-90, 90))
def test_the_region_moves_with_the_hand(angle_rad, scale, shift):
    turn = np.array(
        [[math.cos(angle_rad), -math.sin(angle_rad)], [math.sin(angle_rad), math.cos(angle_rad)]]
    )
    before = hand_region(upright_hand())
    after = hand_region(scale * upright_hand() @ turn.T + [shift, 7])
    np.testing.assert_allclose(
        after.centre_px, scale * turn @ before.centre_px + [shift, 7], atol=1e-9
    )
    assert after.side_px == pytest.approx(scale * before.side_px)
    assert after.angle_rad == pytest.approx(angle_rad)
