import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2hand.config import ClipConfig
from s2hand.data.clips import ClipSampler, FrameSampler, sequences_with_clips
from s2hand.errors import DataError


@st.composite
def listed_frames(draw):
    """Sequences with gaps, listed in any order."""
    rows = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        numbers = draw(st.sets(st.integers(0, 60), min_size=1, max_size=50))
        rows += [(name, number) for number in numbers]
    rows = draw(st.permutations(rows))
    return [name for name, _ in rows], np.array([number for _, number in rows])


@settings(max_examples=60, deadline=None)
@given(listed_frames(), st.integers(2, 4), st.integers(1, 5), st.integers(1, 3), st.integers(0, 9))
def test_clips_are_true_runs_of_one_sequence(listed, num_frames, interval, per_batch, seed):
    sequences, frames = listed
    clips = ClipConfig(
        num_frames=num_frames,
        frame_interval=interval,
        frames_per_batch=num_frames * per_batch,
    )
    try:
        sampler = ClipSampler(sequences, frames, clips, seed)
    except DataError:
        have = set(zip(sequences, frames.tolist(), strict=True))
        runs = [
            (name, start)
            for name, start in have
            if all((name, start + k * interval) in have for k in range(num_frames))
        ]
        assert not runs or len(frames) < clips.frames_per_batch
        return
    batches = sampler.epoch(seed)
    assert len(batches) == len(frames) // clips.frames_per_batch
    for batch in batches:
        assert len(batch) == clips.frames_per_batch
        for clip in batch.reshape(-1, num_frames):
            assert len({sequences[row] for row in clip}) == 1
            assert np.all(np.diff(frames[clip]) == interval)


def test_epochs_depend_on_seed_and_epoch_alone():
    sequences, frames = ["a"] * 30 + ["b"] * 30, np.tile(np.arange(30), 2)
    clips = ClipConfig(num_frames=3, frame_interval=2, frames_per_batch=12)
    one, two = (ClipSampler(sequences, frames, clips, 5) for _ in range(2))
    one.epoch(0)
    np.testing.assert_array_equal(one.epoch(3), two.epoch(3))
    assert not np.array_equal(one.epoch(3), one.epoch(4))
    other = ClipSampler(sequences, frames, clips, 6)
    assert not np.array_equal(one.epoch(3), other.epoch(3))


def test_a_batch_takes_every_sequence_before_it_repeats_one():
    sequences, frames = list("abc" * 20), np.repeat(np.arange(20), 3)
    clips = ClipConfig(num_frames=2, frame_interval=1, frames_per_batch=8)
    for batch in ClipSampler(sequences, frames, clips, 0).epoch(0):
        first_of_clip = [sequences[row] for row in batch[::2]]
        assert set(first_of_clip[:3]) == set("abc")


def test_every_start_of_a_sequence_is_drawn_in_time():
    clips = ClipConfig(num_frames=2, frame_interval=3, frames_per_batch=4)
    sampler = ClipSampler(["a"] * 8, np.arange(8), clips, 0)
    starts = {int(row) for epoch in range(40) for b in sampler.epoch(epoch) for row in b[::2]}
    assert starts == set(range(5))


def test_sequences_without_a_run_are_skipped_and_can_be_told():
    sequences = ["a"] * 10 + ["short"] * 2 + ["gaps"] * 4
    frames = np.array([*range(10), 0, 1, 0, 10, 20, 30])
    clips = ClipConfig(num_frames=3, frame_interval=1, frames_per_batch=6)
    sampler = ClipSampler(sequences, frames, clips, 0)
    assert sequences_with_clips(sequences, frames, clips) == ("a",)
    assert all(row < 10 for batch in sampler.epoch(0) for row in batch)


def test_no_run_at_all_names_both_settings():
    clips = ClipConfig(num_frames=3, frame_interval=4, frames_per_batch=3)
    message = r"none of 1 sequences holds clips.num_frames=3 .* clips.frame_interval=4 apart"
    with pytest.raises(DataError, match=message):
        ClipSampler(["a"] * 8, np.arange(8), clips, 0)


def test_doubled_frames_and_small_sets_are_refused():
    clips = ClipConfig(num_frames=2, frame_interval=1, frames_per_batch=10)
    with pytest.raises(DataError, match=r"sequence 'a' .* 1 occurs twice"):
        ClipSampler(["a"] * 3, np.array([0, 1, 1]), clips, 0)
    with pytest.raises(DataError, match=r"at least clips.frames_per_batch=10 frames, got 4"):
        ClipSampler(["a"] * 4, np.arange(4), clips, 0)
    with pytest.raises(DataError, match=r"one batch of 64 frames, got 10"):
        FrameSampler(10, 64, 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_frames_are_shuffled_without_repetition(num_frames, batch_size, seed, epoch):
    if num_frames < batch_size:
        return
    sampler = FrameSampler(num_frames, batch_size, seed)
    batches = sampler.epoch(epoch)
    assert len(batches) == sampler.batches_per_epoch == num_frames // batch_size
    assert {len(batch) for batch in batches} == {batch_size}
    rows = np.concatenate(batches)
    assert len(set(rows.tolist())) == len(rows)
    assert rows.max() < num_frames
    np.testing.assert_array_equal(
        rows, np.concatenate(FrameSampler(num_frames, batch_size, seed).epoch(epoch))
    )
