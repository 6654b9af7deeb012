"""Hands followed through a video: who is who, what is dropped, and what is told of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2hand.errors import ConfigurationError, DataError
from s2hand.keypoints.hands import FoundHand, HandTable, table_of
from s2hand.keypoints.track_report import report_tracks
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.keypoints.tracks import (
    NO_TRACK,
    Fate,
    frame_numbers,
    hand_extents,
    steps_between,
    track_hands,
)

SHAPE_PX = np.random.default_rng(0).uniform(0, 60, (21, 2)).astype(np.float32)
SHAPE_PX[:2] = [[0, 0], [60, 80]]  # an extent of 100 px with no points beyond
EXTENT_PX = 100.0
ANY_LENGTH = TrackSettings(min_frames=1)


def hand(x: float, y: float = 0.0, *, confidence: float = 0.9, right: float = 1.0) -> FoundHand:
    return FoundHand(
        keypoints_px=SHAPE_PX + np.float32([x, y]),
        confidence=np.full(21, confidence, np.float32),
        right=right,
    )


def video(frames: dict[int, list[FoundHand]]) -> HandTable:
    found = {f"video_{number:05d}.jpg": hands for number, hands in frames.items()}
    return table_of(found, detector="test", version="")


def test_a_steady_hand_is_one_track() -> None:
    table = video({frame: [hand(29.5 * frame)] for frame in range(8)})
    tracks = track_hands(table)
    assert len(tracks) == 1
    np.testing.assert_array_equal(tracks.rows_of(0), np.arange(8))
    np.testing.assert_allclose(tracks.step[1:], 29.5 / EXTENT_PX, rtol=1e-5)
    assert np.isnan(tracks.step[0])


def test_a_cut_ends_a_track_and_begins_another() -> None:
    places = {frame: 5 * frame + (31 if frame >= 8 else 0) for frame in range(16)}
    table = video({frame: [hand(x)] for frame, x in places.items()})
    tracks = track_hands(table)
    np.testing.assert_array_equal(tracks.track, [0] * 8 + [1] * 8)
    assert tracks.step[8] == pytest.approx(0.36)
    assert report_tracks(table, tracks, TrackSettings()).num_jumps == 1
    whole = track_hands(table, TrackSettings(max_step=0.37))
    np.testing.assert_array_equal(whole.track, [0] * 16)


def test_a_hand_that_jumps_is_measured_from_where_it_was_and_not_from_another_hand() -> None:
    places = [300.0] * 8 + [60.0] * 8
    table = video({frame: [hand(0), hand(x)] for frame, x in enumerate(places)})
    tracks = track_hands(table)
    assert len(tracks) == 3
    np.testing.assert_allclose(tracks.step[16:18], [0, 2.4], rtol=1e-5)


def test_a_single_frame_astray_is_dropped_and_the_track_goes_on() -> None:
    table = video({frame: [hand(200 if frame == 4 else 0)] for frame in range(9)})
    tracks = track_hands(table)
    np.testing.assert_array_equal(tracks.track, [0, 0, 0, 0, NO_TRACK, 0, 0, 0, 0])
    assert tracks.fate[4] == Fate.BRIEF


@pytest.mark.parametrize(("gap", "num_tracks"), [(2, 1), (3, 2)])
def test_a_hand_may_be_missing_in_a_few_frames(gap: int, num_tracks: int) -> None:
    frames = {frame: [hand(0)] for frame in range(8)}
    frames |= {frame: [] for frame in range(8, 8 + gap)}
    frames |= {frame: [hand(0)] for frame in range(8 + gap, 16 + gap)}
    table = video(frames)
    tracks = track_hands(table)
    assert len(tracks) == num_tracks
    assert (tracks.fate == Fate.NO_HAND).sum() == gap


def test_convention_steps_are_a_frame_s_whatever_frames_are_looked_at() -> None:
    moving = {frame: [hand(20 * frame)] for frame in range(0, 40, 5)}
    assert len(track_hands(video(moving))) == 1  # 100 px in 5 frames
    np.testing.assert_allclose(track_hands(video(moving)).step[1:], 0.2, rtol=1e-5)
    assert len(track_hands(video({frame: [hand(20 * frame * 5)] for frame in range(8)}))) == 0


def test_an_unsure_hand_is_dropped() -> None:
    sure = {frame: 0.295 if frame in {3, 4} else 0.9 for frame in range(9)}
    table = video({frame: [hand(0, confidence=each)] for frame, each in sure.items()})
    tracks = track_hands(table)
    np.testing.assert_array_equal(np.flatnonzero(tracks.fate == Fate.UNSURE), [3, 4])
    assert (tracks.track == 0).sum() == 7
    assert (track_hands(table, TrackSettings(min_confidence=0.1)).track == 0).all()


def test_short_tracks_are_dropped() -> None:
    table = video({frame: [hand(0)] for frame in range(6)})
    assert (track_hands(table).fate == Fate.BRIEF).all()
    assert len(track_hands(table, TrackSettings(min_frames=6))) == 1


def test_two_hands_that_pass_each_other_stay_two() -> None:
    """In the middle each is nearer to where the other was than it may move in a frame."""
    left = {frame: hand(15 * frame, right=0.0) for frame in range(20)}
    mirrored = np.float32([60, 0]) - SHAPE_PX * np.float32([1, -1])
    right = {
        frame: replace(hand(0), keypoints_px=mirrored + np.float32([285 - 15 * frame, 0]))
        for frame in range(20)
    }
    table = video({f: [left[f], right[f]] if f % 2 else [right[f], left[f]] for f in range(20)})
    tracks = track_hands(table)
    assert len(tracks) == 2
    for number in range(2):
        sides = table.right[tracks.rows_of(number)]
        assert (sides == tracks.is_right[number]).all()
        assert len(sides) == 20


def test_all_hands_together_are_nearest_not_each_by_itself() -> None:
    """The first hand's nearest is the second's own: taken greedily, one would be left over."""
    frames = {frame: [hand(0), hand(25)] for frame in range(7)}
    frames[7] = [hand(22), hand(44)]
    tracks = track_hands(video(frames))
    np.testing.assert_array_equal(tracks.track[-2:], [0, 1])


def test_the_side_is_that_of_most_frames() -> None:
    rights = [0.9, 0.8, 0.4, 0.1, 0.7, 0.6, 0.5, 0.9]
    table = video({frame: [hand(0, right=right)] for frame, right in enumerate(rights)})
    tracks = track_hands(table)
    assert tracks.is_right.tolist() == [True]
    assert tracks.side_agreement[0] == pytest.approx(5 / 7)
    assert report_tracks(table, tracks, TrackSettings()).num_other_side == 2
    flipped = replace(table, right=1 - table.right)
    tracks = track_hands(flipped)
    assert tracks.is_right.tolist() == [False]
    assert tracks.side_agreement[0] == pytest.approx(5 / 7)
    assert report_tracks(flipped, tracks, TrackSettings()).num_other_side == 2


@pytest.mark.parametrize(
    ("rights", "is_right", "agreement"), [([0.5] * 8, True, 1), ([0.9, 0.0] * 4, False, 0.5)]
)
def test_a_tie_of_sides_goes_by_the_mean_and_else_to_the_right(
    rights: list[float], is_right: bool, agreement: float
) -> None:
    table = video({frame: [hand(0, right=right)] for frame, right in enumerate(rights)})
    tracks = track_hands(table)
    assert tracks.is_right.tolist() == [is_right]
    assert tracks.side_agreement.tolist() == [agreement]


def test_the_report_counts_frames_and_hands() -> None:
    frames = {frame: [hand(0), hand(500, confidence=0.1)] for frame in range(8)}
    frames |= {8: [], 9: [hand(0, confidence=0.1)], 10: [hand(300)]}
    table = video(frames)
    found = track_hands(table)
    report = report_tracks(table, found, TrackSettings())
    assert report.num_frames == 11
    counted = {Fate.KEPT: 8, Fate.BRIEF: 1, Fate.UNSURE: 1, Fate.NO_HAND: 1}
    assert report.frames == counted
    assert report.hands == {Fate.KEPT: 8, Fate.BRIEF: 1, Fate.UNSURE: 9}
    assert (report.num_hands, report.num_tracks, report.num_right) == (18, 1, 1)
    assert report.track_lengths.tolist() == [8]
    assert report.kept_share == pytest.approx(8 / 11)
    assert report.num_jumps == 1
    assert report.step_counts.sum() == 8
    assert report.step_counts[0] == 7
    assert report.step_counts[-1] == 1
    assert TrackSettings().max_step in report.step_edges


def test_a_video_without_hands_has_no_tracks() -> None:
    table = video({frame: [] for frame in range(5)})
    tracks = track_hands(table)
    report = report_tracks(table, tracks, TrackSettings())
    assert (len(tracks), report.num_hands, report.kept_share) == (0, 0, 0)
    assert report.frames[Fate.NO_HAND] == 5
    nothing = video({})
    assert report_tracks(nothing, track_hands(nothing), TrackSettings()).kept_share == 0


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_what_is_a_track_is_steady_confident_and_long_enough(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    frames = {
        int(frame): [
            hand(*random.uniform(0, 150, 2), confidence=random.uniform(0.1, 1))
            for _ in range(random.integers(0, 4))
        ]
        for frame in np.flatnonzero(random.random(40) < 0.8)
    }
    if not frames:
        return
    table = video(frames)
    chosen = TrackSettings(
        max_step=random.uniform(0.1, 0.6),
        max_gap=int(random.integers(0, 3)),
        min_frames=int(random.integers(1, 5)),
        min_confidence=random.uniform(0, 0.6),
    )
    tracks = track_hands(table, chosen)
    pictures = {number: place for place, number in enumerate(np.unique(tracks.frames))}
    firsts = []
    for number in range(len(tracks)):
        rows = tracks.rows_of(number)
        numbers = tracks.frames[rows]
        firsts.append(numbers[0])
        assert len(rows) >= chosen.min_frames
        assert (table.confidence[rows].mean(axis=1) >= chosen.min_confidence).all()
        assert (np.diff([pictures[each] for each in numbers]) <= chosen.max_gap + 1).all()
        for before, after in pairwise(rows):
            shift_px = np.linalg.norm(table.keypoints_px[after, 0] - table.keypoints_px[before, 0])
            elapsed = tracks.frames[after] - tracks.frames[before]
            assert elapsed > 0
            assert shift_px / EXTENT_PX / elapsed <= chosen.max_step * (1 + 1e-5)
    assert firsts == sorted(firsts)
    assert (np.unique(tracks.track[tracks.fate == Fate.KEPT])).tolist() == list(range(len(tracks)))
    counted = report_tracks(table, tracks, chosen)
    assert sum(counted.frames.values()) == counted.num_frames == len(frames)
    assert counted.track_lengths.sum() == counted.hands[Fate.KEPT]


def test_points_count_by_both_confidences_and_the_smaller_hand_is_the_measure() -> None:
    before, after = hand(0), hand(0)
    after.keypoints_px[5] += 30  # 42.4 px
    after.confidence[5], before.confidence[5] = 0.5, 0.2
    weights = np.full(21, 0.81)
    weights[5] = 0.1
    expected = 0.1 * np.hypot(30, 30) / weights.sum() / EXTENT_PX
    args = [part[None] for each in (before, after) for part in (each.keypoints_px, each.confidence)]
    assert steps_between(*args)[0, 0] == pytest.approx(expected)
    half = replace(after, keypoints_px=SHAPE_PX / 2)
    halved = steps_between(*args[:2], half.keypoints_px[None], half.confidence[None])[0, 0]
    distances = np.linalg.norm(half.keypoints_px - before.keypoints_px, axis=1)
    assert halved == pytest.approx((weights * distances).sum() / weights.sum() / 50, rel=1e-5)


def test_hands_without_a_point_in_common_are_endlessly_far() -> None:
    before, after = hand(0), hand(0)
    before.confidence[:11], after.confidence[11:] = 0, 0
    args = [part[None] for each in (before, after) for part in (each.keypoints_px, each.confidence)]
    assert np.isinf(steps_between(*args)).all()
    assert hand_extents(*args[2:])[0] < EXTENT_PX + 1e-3
    nothing = np.zeros((1, 21), np.float32)
    assert hand_extents(args[0], nothing).tolist() == [0]
    table = video({0: [before], 1: [after], 2: [after]})
    assert len(track_hands(table, ANY_LENGTH)) == 2


def test_frames_are_numbered_by_their_names() -> None:
    names = ["a/b7_0012.png", "13.jpg", "x y ü 0.png"]
    assert frame_numbers(names).tolist() == [12, 13, 0]
    with pytest.raises(DataError, match=r"must end in its number, as 0012.jpg, got 'last.jpg'"):
        frame_numbers(["0.jpg", "last.jpg"])
    with pytest.raises(DataError, match=r"numbers of their own, got 'a_1.jpg' and 'b_01.jpg'"):
        frame_numbers(["a_1.jpg", "a_1.jpg", "b_01.jpg"])


def test_frames_may_stand_in_any_order() -> None:
    table = video({frame: [hand(10 * frame)] for frame in (9, 3, 1, 0, 2, 5, 4, 6, 8, 7)})
    tracks = track_hands(table)
    np.testing.assert_array_equal(tracks.frames[tracks.rows_of(0)], np.arange(10))


def test_settings_say_what_is_wrong_with_all_of_them() -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrackSettings(min_confidence=1.5, max_step=0.0, max_gap=-1, min_frames=0)
    for fault in (
        "min_confidence must lie in 0..1, got 1.5",
        "max_step must be above 0, got 0.0",
        "max_gap must not be negative, got -1",
        "min_frames must be at least 1, got 0",
    ):
        assert fault in str(caught.value)
