import math

import numpy as np

from s2hand.keypoints.detector.palms import Palms, decode_palms, make_anchors, merge_palms, overlaps


def test_anchors_are_cells_of_two_grids_each_several_times():
    anchors = make_anchors()
    assert anchors.shape == (2016, 2)
    np.testing.assert_allclose(anchors[0], [0.5 / 24, 0.5 / 24])
    np.testing.assert_array_equal(anchors[1], anchors[0])
    np.testing.assert_allclose(anchors[2], [1.5 / 24, 0.5 / 24])  # x goes first
    np.testing.assert_allclose(anchors[48], [0.5 / 24, 1.5 / 24])
    np.testing.assert_allclose(anchors[1151], [23.5 / 24, 23.5 / 24])
    np.testing.assert_allclose(anchors[1152:1158], 0.5 / 12)
    np.testing.assert_allclose(anchors[1158], [1.5 / 12, 0.5 / 12])
    np.testing.assert_allclose(anchors[-1], [11.5 / 12, 11.5 / 12])


def test_a_palm_is_decoded_from_pixels_around_its_anchor():
    regressions = np.zeros((2016, 18), np.float32)
    logits = np.full(2016, -100, np.float32)
    regressions[2] = [19.2, 9.6, 38.4, 76.8, *np.arange(14)]
    logits[2] = 1
    palms = decode_palms(regressions, logits)
    assert len(palms.scores) == 1
    x, y = 1.5 / 24, 0.5 / 24
    expected = [x + 0.1 - 0.1, y + 0.05 - 0.2, x + 0.1 + 0.1, y + 0.05 + 0.2]
    np.testing.assert_allclose(palms.boxes[0], expected, atol=1e-7)
    points = np.arange(14).reshape(7, 2) / 192 + [x, y]
    np.testing.assert_allclose(palms.points[0], points, atol=1e-7)
    np.testing.assert_allclose(palms.scores, 1 / (1 + math.exp(-1)))


def test_anchors_count_from_even_odds_on_and_far_logits_overflow_nothing():
    regressions = np.zeros((2016, 18), np.float32)
    regressions[:, 2:4] = 2  # as small as to overlap no other
    logits = np.full(2016, -1e30, np.float32)
    logits[[0, 500, 1500]] = [0, -1e-3, 1e30]
    palms = decode_palms(regressions, logits)
    np.testing.assert_allclose(palms.scores, [1, 0.5])
    assert not decode_palms(regressions, np.full(2016, -5, np.float32)).scores.size


def palms(*boxes: list[float], scores: list[float]) -> Palms:
    points = np.arange(len(boxes) * 14, dtype=float).reshape(-1, 7, 2)
    return Palms(boxes=np.array(boxes, np.float64), points=points, scores=np.array(scores))


def test_palms_that_overlap_are_blended_by_their_scores():
    found = palms([2, 0, 12, 10], [50, 0, 60, 10], [0, 0, 10, 10], scores=[0.6, 0.8, 0.9])
    merged = merge_palms(found)
    np.testing.assert_array_equal(merged.scores, [0.9, 0.8])
    np.testing.assert_allclose(merged.boxes[0], [0.8, 0, 10.8, 10])
    np.testing.assert_array_equal(merged.boxes[1], found.boxes[1])
    np.testing.assert_allclose(merged.points[0], 0.6 * found.points[2] + 0.4 * found.points[0])
    np.testing.assert_array_equal(merged.points[1], found.points[1])


def test_who_overlaps_the_surest_alone_is_blended_with_it():
    chain = palms([0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], scores=[0.9, 0.8, 0.7])
    merged = merge_palms(chain)  # a third of the union; the last one none with the first
    np.testing.assert_array_equal(merged.scores, [0.9, 0.7])
    apart = palms([0, 0, 10, 10], [5.5, 0, 15.5, 10], scores=[0.9, 0.8])  # 4.5 / 15.5 = 0.29
    np.testing.assert_array_equal(merge_palms(apart).boxes, apart.boxes)


def test_a_palm_without_area_stands_alone():
    empty = palms([3, 3, 3, 3], [3, 3, 3, 3], scores=[0.9, 0.6])
    np.testing.assert_array_equal(merge_palms(empty).scores, [0.9, 0.6])


def test_overlap_is_the_share_of_the_union():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [9, 9, 12, 12], [0.5, 0.5, 1, 1.0]])
    np.testing.assert_allclose(overlaps(boxes[0], boxes), [1, 1 / 7, 0, 0, 0.25 / 4])
    np.testing.assert_allclose(overlaps(boxes[1], boxes), [1 / 7, 1, 1 / 7, 0, 0])
