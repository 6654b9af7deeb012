"""Tables of hands that a detector found."""

from pathlib import Path

import numpy as np
import pytest

from s2hand.data.tracks import DetectedHands, tracked_table
from s2hand.errors import DataError
from s2hand.keypoints.hands import FoundHand, table_of

POINTS = np.random.default_rng(0).uniform(20, 60, (21, 2)).astype(np.float32)


def hands_of(
    right: list[float], *, is_video: bool = True, confidence: float = 0.5
) -> DetectedHands:
    names = [f"f{number}.png" for number in range(len(right), 0, -1)]
    sure = np.full(21, confidence, np.float32)
    hands = {
        name: [FoundHand(keypoints_px=POINTS, confidence=sure, right=each)]
        for name, each in zip(names, right, strict=True)
    }
    return DetectedHands(
        name="V",
        is_video=is_video,
        found=table_of(hands, detector="made", version=""),
        images={name: Path("V") / name for name in names},
        sizes_px=dict.fromkeys(names, (100, 80)),
        cameras=dict.fromkeys(names, np.eye(3, dtype=np.float32)),
    )


def test_a_track_is_in_the_order_of_its_frames_and_has_one_side():
    table = tracked_table([hands_of([0.9, 0.1, 0.2, 0.8, 0.3, 0.1, 0.2])])
    assert table.frames.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert table.image_paths[0] == Path("V/f1.png")
    assert set(table.sequences) == {"V/0"}
    assert table.is_mirrored.all()
    mirrored = POINTS * np.array([-1, 1]) + np.array([99, 0])
    np.testing.assert_allclose(table.detected_keypoints_px, np.tile(mirrored, (7, 1, 1)), atol=1e-5)
    assert tracked_table([hands_of([0.9] * 7)]).is_mirrored is None


def test_pictures_stand_alone_each_hand_with_its_own_side():
    table = tracked_table([hands_of([0.9, 0.1], is_video=False), hands_of([0.9] * 7)])
    assert table.sample_ids[:3] == ("f2/0/0", "f1/0/0", "V/0/1")
    assert table.is_mirrored.tolist() == [False, True, *[False] * 7]


def test_what_is_brief_or_unsure_is_left_out():
    pictures = hands_of([0.9, 0.9], is_video=False)
    assert len(tracked_table([hands_of([0.9] * 6), pictures])) == 2
    unsure = hands_of([0.9, 0.9], is_video=False, confidence=0.29)
    with pytest.raises(DataError, match="V, V: no hand was found surely and steadily enough"):
        tracked_table([hands_of([0.9] * 6), unsure])
