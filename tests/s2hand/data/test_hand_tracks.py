"""Which hands of a video are one."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2hand.data.tracks import VideoHands, link_tracks, tracked_table


def boxes(centres: np.ndarray, side: float = 30.0) -> np.ndarray:
    """Boxes whose diagonal is 50 at the side of 30 by 40."""
    half = np.array([side, side * 4 / 3]) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def test_two_hands_that_move_past_each_other_stay_two():
    frames = np.repeat(np.arange(10), 2)
    places = [[20.0 * t, y] for t in range(10) for y in (0, 60)]
    places[1::2] = [[200 - 20.0 * t, 60] for t in range(10)]
    tracks = link_tracks(frames, boxes(np.array(places)))
    assert tracks.tolist() == [0, 1] * 10


def test_a_jump_a_long_gap_and_another_size_begin_a_new_track():
    frames = np.array([0, 1, 2, 3, 8, 14, 15])
    places = np.array([[0, 0], [24, 0], [50, 0], [50, 0], [50, 0], [50, 0], [50, 0]], float)
    found = boxes(places)
    found[-1] = boxes(places[-1:], side=46)[0]
    # 24 of 50 is under half the extent, 26 over it; 5 frames are bridged, 6 are not.
    assert link_tracks(frames, found).tolist() == [0, 0, 1, 1, 1, 2, 3]


def test_the_nearer_of_two_hands_continues_a_track():
    frames = np.array([0, 1, 1])
    found = boxes(np.array([[0.0, 0], [15, 0], [5, 0]]))
    assert link_tracks(frames, found).tolist() == [0, 1, 0]


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.floats(0, 200), st.floats(0, 200), st.floats(0, 90)),
        min_size=1,
        max_size=25,
    )
)
def test_a_track_has_one_hand_a_frame_and_numbers_are_dense(rows):
    frames = np.array([row[0] for row in rows])
    low = np.array([row[1:3] for row in rows])
    found = np.concatenate([low, low + np.array([[row[3]] for row in rows])], axis=1)
    tracks = link_tracks(frames, found)
    assert set(tracks) == set(range(max(tracks) + 1))
    pairs = list(zip(tracks.tolist(), frames.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    firsts = [frames[tracks == k].min() for k in range(max(tracks) + 1)]
    assert firsts == sorted(firsts)


def hands_of(right: list[float]) -> VideoHands:
    count = len(right)
    random = np.random.default_rng(0)
    return VideoHands(
        name="V",
        images=tuple(Path(f"{k}.png") for k in range(count)),
        frames=np.arange(count)[::-1].copy(),
        sizes_px=np.tile([100, 80], (count, 1)),
        keypoints_px=random.uniform(20, 60, (1, 21, 2)).repeat(count, 0).astype(np.float32),
        confidence=np.full((count, 21), 0.5, np.float32),
        right=np.array(right, np.float32),
        intrinsics_px=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
    )


def test_a_track_s_side_is_that_of_the_larger_mean_probability():
    video = hands_of([0.9, 0.1, 0.2])
    table = tracked_table([video])
    assert table.frames.tolist() == [0, 1, 2]
    assert table.image_paths == video.images[::-1]
    assert table.is_mirrored.all()
    np.testing.assert_allclose(
        table.detected_keypoints_px[..., 0], 99 - video.keypoints_px[..., 0], atol=1e-5
    )
    assert tracked_table([hands_of([0.9, 0.1, 0.6])]).is_mirrored is None
    assert tracked_table([hands_of([0.5])]).is_mirrored is None
