"""What makes two stages the same, and the lock that lets only one training work on one."""

import subprocess
import sys
from dataclasses import replace

import pytest

from s2hand.config import LossConfig, LossWeights, StageConfig
from s2hand.training.determinism import derive_seed, seed_epoch
from s2hand.training.schedule import learning_rate
from s2hand.training.stages import exclusive, fingerprint_code, stage_id, stage_identity
from s2hand.training.workers import Workers

ALONE = Workers(rank=0, world_size=1)


def identify(config, index=0, **changes):
    settings = {
        "seed": 0, "device_type": "cpu", "fingerprints": {"data": "d"}, "previous_id": "",
    }  # fmt: skip
    return stage_id(stage_identity(config, index, **(settings | changes)))


def with_weights(config, **weights):
    return replace(config, losses=replace(config.losses, weights=LossWeights(**weights)))


def test_what_does_not_act_in_a_stage_of_frames_does_not_enter_it(config):
    same = [
        with_weights(config, temporal=0.3),
        replace(config, clips=replace(config.clips, frame_interval=1)),
        replace(config, losses=replace(config.losses, smooth_threshold_rad=0.2)),
        replace(config, data=replace(config.data, rotation_deg=10.0, root="/elsewhere")),
        replace(config, runtime=replace(config.runtime, report_every_epochs=2)),
        replace(config, model=replace(config.model, hand_model="/another/place.pkl")),
        replace(config, stages=(replace(config.stages[0], name="renamed"), config.stages[1])),
    ]
    assert {identify(each) for each in same} == {identify(config)}


def test_what_acts_in_a_stage_enters_it(config):
    motion = identify(config, index=1)
    assert identify(with_weights(config, quaternion=0.1), index=1) != motion
    others = [
        replace(config, clips=replace(config.clips, frame_interval=1)),
        replace(config, optimiser=replace(config.optimiser, micro_batch_size=4)),
        replace(config, data=replace(config.data, crop_jitter=False)),
        replace(config, losses=LossConfig(weights=LossWeights(), keypoint_knee_px=3.0)),
    ]
    assert motion not in {identify(each, index=1) for each in others}
    for change in (
        {"seed": 1}, {"device_type": "cuda"}, {"fingerprints": {"data": "e"}},
        {"previous_id": "x"},
    ):  # fmt: skip
        assert identify(config, index=1, **change) != motion


def test_the_batch_size_matters_where_frames_are_sampled(config):
    other = replace(config, optimiser=replace(config.optimiser, batch_size=16))
    assert identify(other, index=0) != identify(config, index=0)
    assert identify(other, index=1) == identify(config, index=1)


def test_ids_and_code_are_full_hashes(config):
    assert len(identify(config)) == len(fingerprint_code()) == 64
    assert fingerprint_code() == fingerprint_code()


def test_a_folder_is_held_by_one_process_and_freed_when_it_dies(tmp_path):
    script = (
        "import fcntl, sys\n"
        f"file = open({str(tmp_path / 'lock')!r}, 'a')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        entered = []

        def kill_holder(_seconds):
            entered.append("waited")
            holder.kill()
            holder.wait()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("s2hand.training.stages.time.sleep", kill_holder)
            with exclusive(tmp_path, ALONE):
                entered.append("entered")
    assert entered == ["waited", "entered"]


def test_the_rate_falls_in_steps():
    stage = StageConfig(
        name="s", epochs=90, learning_rate=1e-3, decay_every_epochs=30, decay_factor=0.5
    )
    assert [learning_rate(stage, epoch) for epoch in (0, 29, 30, 60, 89)] == [
        1e-3, 1e-3, 5e-4, 2.5e-4, 2.5e-4,
    ]  # fmt: skip


def test_every_epoch_worker_and_purpose_has_its_own_seed():
    seeds = {
        derive_seed(seed, purpose, stage, epoch, rank)
        for seed in range(3) for purpose in ("network", "augmentation")
        for stage in range(3) for epoch in range(3) for rank in range(3)
    }  # fmt: skip
    assert len(seeds) == 3 * 2 * 27
    assert seed_epoch(0, 1, 2, 0).initial_seed() == seed_epoch(0, 1, 2, 0).initial_seed()
