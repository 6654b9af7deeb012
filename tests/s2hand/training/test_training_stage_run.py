"""What a stage does in its epochs: with which frames, on which worker, and what it reports."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

import s2hand.training.stage_run
from s2hand.config import LossConfig, LossWeights
from s2hand.data.dataset import FrameDataset
from s2hand.errors import ConfigurationError
from s2hand.training.checkpoint import load_checkpoint
from s2hand.training.loop import train
from s2hand.training.stage_run import NUM_PICTURED_FRAMES, _require_usable_shares
from s2hand.training.step import TrainingStep
from s2hand.training.workers import Workers

pytestmark = pytest.mark.usefixtures("in_tiny_data")


@pytest.fixture
def keypoints(config):
    """Two epochs of the 2D branch, which has one loss."""
    frames = replace(config, losses=LossConfig(weights=LossWeights()))
    return replace(frames, stages=(replace(config.stages[1], epochs=2),))


def test_an_epoch_reports_means_over_its_steps_and_frames_a_second(
    keypoints, make_context, monkeypatch
):
    terms, reports = count(1), []

    def run(_step, _batch):
        clock.append(clock[-1] + 2.0)
        return torch.tensor([float(next(terms))])

    clock = [0.0]
    monkeypatch.setattr(TrainingStep, "run", run)
    monkeypatch.setattr(s2hand.training.stage_run.time, "perf_counter", lambda: clock[-1])
    context = make_context(on_report=lambda _, metrics: reports.append(dict(metrics)))
    train(keypoints, seed=0, context=context)
    weight = keypoints.losses.weights.heatmap_keypoint
    assert reports == [
        {
            "loss/total": pytest.approx(weight * mean),
            "loss/heatmap_keypoint": mean,
            "learning_rate": rate,
            "train/images_per_s": 16 / 4,
        }
        for mean, rate in ((1.5, 1e-3), (3.5, 5e-4))
    ]


def test_what_is_validated_stands_in_the_reports_that_are_made(keypoints, make_context):
    stages = (replace(keypoints.stages[0], epochs=3),)
    every_second = replace(
        keypoints, stages=stages, runtime=replace(keypoints.runtime, report_every_epochs=2)
    )
    numbers, reports = count(), []
    context = make_context(on_report=lambda *report: reports.append(report))
    train(every_second, seed=0, context=context, validate=lambda _: {"error": next(numbers)})
    assert [(epoch, metrics["error"]) for epoch, metrics in reports] == [(1, 0), (2, 1)]
    assert all("loss/total" in metrics for _, metrics in reports)


def test_statistics_of_batches_follow_every_step(keypoints, make_context):
    context = make_context()
    train(keypoints, seed=0, context=context)
    (final,) = context.stage_dir.glob("*/final.pt")
    counted = {
        int(value)
        for name, value in load_checkpoint(final).model.items()
        if name.endswith("num_batches_tracked")
    }
    assert counted == {4}


@pytest.fixture
def seen(monkeypatch):
    """Rows and cameras of every batch that is made."""
    batch, batches = FrameDataset.batch, []

    def recorded(self, rows, **settings):
        made = batch(self, rows, **settings)
        batches.append((list(rows), made.intrinsics_px))
        return made

    monkeypatch.setattr(FrameDataset, "batch", recorded)
    return batches


def test_every_epoch_shows_every_frame_anew(keypoints, make_context, seen):
    train(keypoints, seed=0, context=make_context())
    cameras = {}
    for rows, intrinsics_px in seen:
        for row, camera in zip(rows, intrinsics_px, strict=True):
            cameras.setdefault(row, []).append(camera)
    assert cameras.keys() == set(range(16))
    for first, second in cameras.values():
        assert not torch.equal(first, second)


def test_workers_share_every_batch_by_whole_clips_and_the_first_writes(
    one_stage, make_context, seen, monkeypatch
):
    train(one_stage, seed=0, context=make_context("alone"))
    whole = [rows for rows, _ in seen if len(rows) == 8]
    # What they tell each other is tested with processes of their own.
    for name in ("__post_init__", "add_up", "copy_from_first", "wait"):
        monkeypatch.setattr(Workers, name, lambda *_: None)
    monkeypatch.setattr(Workers, "first_says", lambda worker, says: says or worker.rank > 0)
    three = replace(one_stage, optimiser=replace(one_stage.optimiser, world_size=3, batch_size=9))
    three = replace(three, runtime=replace(three.runtime, picture_every_epochs=1))
    shares, written, validated = [], [], []
    for rank in range(3):
        seen.clear()
        folder, reported = make_context(f"{rank}"), []
        context = replace(
            folder, rank=rank, world_size=3, stage_dir=folder.stage_dir / f"{rank}",
            on_report=lambda epoch, _, reported=reported: reported.append(epoch),
        )  # fmt: skip
        validate = lambda _, rank=rank: validated.append(rank) or {}  # noqa: E731
        train(three, seed=0, context=context, validate=validate)
        assert reported == [0, 1]
        shares.append([rows for rows, _ in seen if len(rows) != NUM_PICTURED_FRAMES])
        files = [*context.stage_dir.rglob("*"), *context.checkpoint_dir.rglob("*")]
        written.append({path.name for path in files if path.is_file()} - {"lock"})
    assert [[*a, *b, *c] for a, b, c in zip(*shares, strict=True)] == whole
    assert [len(share[0]) for share in shares] == [4, 2, 2]
    pictures = {f"reconstructions_000{epoch}.png" for epoch in range(2)}
    assert written == [{"final.pt", "stages.json", "model.safetensors", *pictures}, set(), set()]
    assert validated == [0, 0]


@pytest.mark.parametrize("clip_length", [1, 2, 3])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_pass_of_one_frame_is_refused_and_nothing_else(config, clip_length, world_size):
    for num_clips in range(world_size if clip_length == 1 else 1, 13, world_size):
        frames = num_clips * clip_length
        for micro_batch_size in range(0, 13, clip_length):
            shared = replace(
                config,
                clips=replace(config.clips, num_frames=max(clip_length, 2),
                              frames_per_batch=frames if clip_length > 1 else 8),
                optimiser=replace(config.optimiser, world_size=world_size,
                                  micro_batch_size=micro_batch_size,
                                  batch_size=frames if clip_length == 1 else world_size),
            )  # fmt: skip
            clips = np.arange(frames).reshape(-1, clip_length)
            shares = [share.ravel() for share in np.array_split(clips, world_size)]
            size = micro_batch_size or frames
            passes = [
                len(share[start : start + size])
                for share in shares
                for start in range(0, max(len(share), 1), size)
            ]
            if min(passes) < 2:
                with pytest.raises(ConfigurationError, match="at least 2 frames for batch"):
                    _require_usable_shares(shared, clip_length)
            else:
                _require_usable_shares(shared, clip_length)
