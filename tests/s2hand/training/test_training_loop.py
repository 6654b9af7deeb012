"""Whole trainings: the same bits for the same seed, interrupted, shared or not."""

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import s2hand.training.loop
import s2hand.training.stage_run
from s2hand.config import LossConfig, LossWeights, QuaternionPhase
from s2hand.config.presets import PICTURE_LOSSES
from s2hand.data.dataset import FrameDataset
from s2hand.errors import CheckpointError, ConfigurationError, NonFiniteLossError, SourceError
from s2hand.model import S2Hand
from s2hand.networks.encoder import ConvNetEncoder
from s2hand.trained_model import MODEL_NAME, read_model_record
from s2hand.training.checkpoint import load_checkpoint
from s2hand.training.determinism import seed_epoch
from s2hand.training.loop import stage_identities, train
from s2hand.training.reports import read_stage_reports
from s2hand.training.sharing import first_free
from s2hand.training.stages import stage_id
from s2hand.training.step import TrainingStep
from s2hand.training.workers import Workers
from tests.s2hand.training.conftest import FINGERPRINT

pytestmark = pytest.mark.usefixtures("in_tiny_data")


class StopTrainingError(Exception):
    """What a scheduler raises from a report."""


def stop_at(epoch):
    def on_report(reported, _metrics):
        if reported == epoch:
            raise StopTrainingError

    return on_report


def recorder(reports):
    return lambda epoch, metrics: reports.append((epoch, dict(metrics)))


def losses(reports):
    return [
        {name: value for name, value in metrics.items() if name.startswith("loss/")}
        for _, metrics in reports
    ]


def final_weights(context):
    return load_file(context.checkpoint_dir / MODEL_NAME)


def stages_of(context):
    return read_model_record(context.checkpoint_dir / MODEL_NAME).identity["stages"]


def identities_of(config, seed=0, device_type="cpu"):
    return stage_identities(
        config, seed=seed, device_type=device_type, data_fingerprint=FINGERPRINT
    )


def stage_folder(context, config, name, seed=0):
    identity = identities_of(config, seed)[name]
    return context.stage_dir / stage_id(identity)


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_a_training_reports_every_term_and_leaves_its_weights(config, make_context, monkeypatch):
    origin = {"name": "published.pth", "sha256": "ab" * 32}
    monkeypatch.setattr(ConvNetEncoder, "initial_weights", origin)
    reports = []
    context = make_context(on_report=recorder(reports))
    train(config, seed=0, context=context)
    assert [epoch for epoch, _ in reports] == [0, 1, 2, 3, 4]
    rates = [metrics["learning_rate"] for _, metrics in reports]
    assert rates == [1e-3, 5e-4, 1e-3, 1e-4, 5e-5]
    image, keypoints, motion = (reports[place][1] for place in (1, 2, 3))
    assert "loss/quaternion" in motion
    assert "loss/keypoint_consistency" in motion
    # A term that does not act is not computed.
    assert not image.keys() & {"loss/quaternion", "loss/heatmap_keypoint"}
    assert {name for name in keypoints if name.startswith("loss/")} == {
        "loss/total", "loss/heatmap_keypoint",
    }  # fmt: skip
    weights = config.losses.weights
    for metrics in (image, keypoints, motion):
        terms = [name for name in metrics if name.startswith("loss/") and name != "loss/total"]
        named = {name: getattr(weights, name.removeprefix("loss/")) for name in terms}
        assert metrics["loss/total"] == pytest.approx(
            sum(weight * metrics[name] for name, weight in named.items())
        )
    files = {path.name for path in context.checkpoint_dir.iterdir() if path.is_file()}
    assert files == {MODEL_NAME, "stages.json"}
    record = read_model_record(context.checkpoint_dir / MODEL_NAME)
    assert record.initial_weights == {"encoder": origin}
    # Of a finished stage its parts are kept, without the optimiser.
    left = sorted(path.name for path in context.stage_dir.glob("*/*"))
    assert left == ["final.pt"] * 3 + ["lock"] * 3
    assert not load_checkpoint(next(context.stage_dir.glob("*/final.pt"))).optimiser


def test_the_same_seed_gives_the_same_losses_bit_for_bit(config, make_context, tmp_path):
    runs = []
    for name in ("first", "second"):
        reports = []
        context = make_context(name, recorder(reports))
        context = replace(context, stage_dir=tmp_path / name)
        train(config, seed=4, context=context)
        torch.rand(7)  # whatever else the process draws changes nothing
        runs.append((losses(reports), final_weights(context)))
    assert runs[0][0] == runs[1][0]
    assert_same_weights(runs[0][1], runs[1][1])
    other = make_context("other")
    train(config, seed=5, context=other)
    first, second = runs[0][1], final_weights(other)
    assert not any(torch.equal(first[name], second[name]) for name in first if "conv" in name)


@pytest.mark.parametrize("epoch", [0, 1, 2, 3, 4])
def test_stopped_after_any_epoch_and_resumed_gives_the_same_weights(
    config, make_context, tmp_path, epoch
):
    whole = replace(make_context("whole"), stage_dir=tmp_path / "whole")
    train(config, seed=0, context=whole)
    with pytest.raises(StopTrainingError):
        train(config, seed=0, context=make_context("stopped", stop_at(epoch)))
    reports = []
    resumed = make_context("stopped", recorder(reports))
    train(config, seed=0, context=resumed)
    assert [each for each, _ in reports] == list(range(epoch + 1, 5))
    assert_same_weights(final_weights(whole), final_weights(resumed))


def test_killed_between_reports_goes_back_to_the_latest(
    config, make_context, tmp_path, monkeypatch
):
    config = replace(
        config,
        runtime=replace(config.runtime, report_every_epochs=2),
        stages=(replace(config.stages[2], epochs=4),),
    )
    whole, killed = make_context("whole"), make_context("killed")
    killed = replace(killed, stage_dir=whole.stage_dir / "killed")
    train(config, seed=0, context=whole)

    def die_in_epoch_3(seed, stream, epoch, rank):
        if epoch == 3:
            raise StopTrainingError
        return seed_epoch(seed, stream, epoch, rank)

    with monkeypatch.context() as patch:
        patch.setattr(s2hand.training.stage_run, "seed_epoch", die_in_epoch_3)
        with pytest.raises(StopTrainingError):
            train(config, seed=0, context=killed)
    latest = stage_folder(killed, config, "motion") / "latest.pt"
    assert load_checkpoint(latest).epochs_done == 2
    reports = []
    train(config, seed=0, context=replace(killed, on_report=recorder(reports)))
    assert [epoch for epoch, _ in reports] == [3]
    assert_same_weights(final_weights(whole), final_weights(killed))
    assert not latest.exists()


def test_a_finished_training_is_not_trained_again(config, make_context):
    train(config, seed=0, context=make_context())
    reports = []
    train(config, seed=0, context=make_context(on_report=recorder(reports)))
    assert reports == []


def test_trials_that_differ_in_a_motion_loss_share_the_stage_of_frames(config, make_context):
    other = replace(config, losses=LossConfig(weights=LossWeights(temporal=0.05)))
    train(config, seed=0, context=make_context("quaternion"))
    reports = []
    train(other, seed=0, context=make_context("temporal", recorder(reports)))
    assert [epoch for epoch, _ in reports] == [3, 4]
    first, second = (stages_of(make_context(name))["motion"] for name in ("quaternion", "temporal"))
    assert first["previous"] == second["previous"]
    assert stage_id(first) != stage_id(second)


def test_a_row_without_the_2d_branch_shares_the_stage_of_the_3d_branch(config, make_context):
    weights = replace(config.losses.weights, heatmap_keypoint=0.0, keypoint_consistency=0.0)
    without = replace(config, losses=replace(config.losses, weights=weights))
    train(config, seed=0, context=make_context("with"))
    reports = []
    train(without, seed=0, context=make_context("without", recorder(reports)))
    assert [epoch for epoch, _ in reports] == [2, 3]  # the last stage alone, after two epochs
    first, second = (stages_of(make_context(name))["motion"] for name in ("with", "without"))
    assert second["previous"].items() < first["previous"].items()
    weights = final_weights(make_context("without"))
    assert not any(name.startswith("keypoint_estimator") for name in weights)


def test_the_quaternion_schedule_acts_epoch_by_epoch(config, make_context):
    phase = QuaternionPhase(from_epoch=1, frame_interval=1, num_frames=4, weight=0.0)
    scheduled = replace(config, quaternion_schedule=(phase,))
    reports = []
    train(scheduled, seed=0, context=make_context(on_report=recorder(reports)))
    assert "loss/quaternion" in reports[3][1]
    assert "loss/quaternion" not in reports[4][1]


def test_pictures_are_drawn_where_asked_for_and_change_nothing(config, make_context, tmp_path):
    weights = []
    stages = (replace(config.stages[0], epochs=5), *config.stages[1:])
    for every in (0, 2):
        runtime = replace(config.runtime, picture_every_epochs=every)
        context = replace(make_context(f"every{every}"), stage_dir=tmp_path / f"stages{every}")
        train(replace(config, runtime=runtime, stages=stages), seed=0, context=context)
        weights.append(final_weights(context))
        pictures = sorted(path.name for path in context.checkpoint_dir.glob("pictures/*.png"))
        # Of each stage with a texture its last epoch too.
        expected = [1, 3, 4, 7] if every else []
        assert pictures == [f"reconstructions_{epoch:04d}.png" for epoch in expected]
    assert_same_weights(*weights)


def test_two_trials_at_once_train_the_shared_stage_once(config, make_context):
    trained, lock = [], threading.Lock()

    def record(epoch, _metrics):
        with lock:
            trained.append(epoch)

    other = replace(config, losses=LossConfig(weights=LossWeights(smooth=0.05)))
    threads = [
        threading.Thread(
            target=train, args=(each,),
            kwargs={"seed": 0, "context": make_context(name, record)},
        )
        for name, each in (("a", config), ("b", other))
    ]  # fmt: skip
    # The threads share torch's generator, which training reseeds; only the count matters here.
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(trained) == [0, 1, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("held", [0, 1])
def test_while_another_trains_a_stage_one_that_does_not_need_it_is_trained(
    config, make_context, tmp_path, held
):
    undisturbed = replace(make_context("undisturbed"), stage_dir=tmp_path / "own_stages")
    train(config, seed=0, context=undisturbed)
    folders = [
        stage_folder(make_context("stages"), config, name) for name in ("image", "keypoints")
    ]
    holder = ExitStack()
    holder.enter_context(first_free([folders[held]], Workers(rank=0, world_size=1)))
    reported = []

    def release_after_the_other(epoch, _metrics):
        reported.append(epoch)
        holder.close()

    context = make_context("disturbed", release_after_the_other)
    train(config, seed=0, context=context)
    assert reported == ([2, 0, 1, 3, 4] if held == 0 else [0, 1, 2, 3, 4])
    assert_same_weights(final_weights(context), final_weights(undisturbed))


def test_the_rate_falls_with_every_step_where_it_ends_at_zero(config, make_context, monkeypatch):
    rates = []
    run = TrainingStep.run

    def noting(step, batch):
        rates.append(step.optimiser.param_groups[0]["lr"])
        return run(step, batch)

    monkeypatch.setattr(TrainingStep, "run", noting)
    stages = (replace(config.stages[0], decay="to_zero"), *config.stages[1:])
    train(replace(config, stages=stages), seed=0, context=make_context())
    steps = 4  # in two epochs
    assert rates[: steps + 1] == pytest.approx(
        [*(1e-3 * (1 - k / steps) for k in range(steps)), 1e-3]
    )


def changed_stages(config, monkeypatch, module, device_type="cpu"):
    """Name the stages that are others once a module does something else."""

    def identify():
        identities = identities_of(config, device_type=device_type)
        return {name: stage_id(identity) for name, identity in identities.items()}

    before = identify()
    digests = s2hand.training.loop.module_digests
    with monkeypatch.context() as patch:
        patch.setattr(
            s2hand.training.loop,
            "module_digests",
            lambda names: {n: "new" if n == module else d for n, d in digests(names).items()},
        )
        after = identify()
    return {name for name in before if before[name] != after[name]}


def test_changed_code_changes_the_stages_where_it_acts_and_those_after(config, monkeypatch):
    def changed(module, **settings):
        return changed_stages(config, monkeypatch, f"s2hand.{module}", **settings)

    every = {"image", "keypoints", "motion"}
    assert changed("training.step") == changed("model") == every
    assert changed("losses.motion") == {"motion"}
    assert changed("losses.priors") == {"image", "motion"}
    assert changed("networks.keypoint_estimator") == {"keypoints", "motion"}
    assert changed("rendering.cuda_kernels") == set()
    assert changed("rendering.cuda_kernels", device_type="cuda") == {"image", "motion"}
    assert changed("rendering.outlines", device_type="cuda") == set()
    assert changed("data.freihand") == changed("losses.laplacian") == set()
    assert changed("metrics.evaluate") == changed("reconstruction_pictures") == set()


def test_convolutions_lie_in_memory_and_are_compiled_as_asked(config, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda part: compiled.insert(0, part))
    for asked, layout in ((False, "channels_last"), (True, "contiguous")):
        settings = replace(config.optimiser, compile=asked, memory_format=layout)
        model = s2hand.training.loop._build_model(
            replace(config, optimiser=settings), 0, "cpu", Workers(rank=0, world_size=1)
        )
        kernels = [w for w in model.parameters() if w.ndim == 4 and min(w.shape) > 1]
        assert kernels
        for kernel in kernels:
            assert kernel.is_contiguous() == (layout == "contiguous")
        assert {id(part) for part in compiled} == {
            id(part) for name, part in model.parts.items() if asked and name != "head"
        }


def test_without_its_source_nothing_is_trained(config, monkeypatch):
    monkeypatch.setattr(s2hand.training.loop, "module_digests", lambda _names: None)
    with pytest.raises(SourceError, match="source of s2hand must be readable"):
        identities_of(config)


@pytest.fixture
def branches_apart(config):
    """The training before its last stage, which has no epochs."""
    *first, last = config.stages
    return replace(config, stages=(*first, replace(last, epochs=0)))


def test_without_a_last_stage_the_branches_are_those_trained_apart(
    config, branches_apart, make_context
):
    context = make_context("apart")
    reports = train(branches_apart, seed=0, context=context)
    assert [report.name for report in reports] == ["image", "keypoints"]
    weights = final_weights(context)
    parts = {}
    for name in ("image", "keypoints"):
        final = load_checkpoint(stage_folder(context, config, name) / "final.pt")
        assert_same_weights(final.model, {each: weights[each] for each in final.model})
        parts[name] = {each.split(".")[0] for each in final.model}
    assert parts == {
        "image": {"encoder", "head", "texture_light_head"}, "keypoints": {"keypoint_estimator"},
    }  # fmt: skip
    # The training that goes on finds both.
    reported = []
    whole = make_context("whole", recorder(reported))
    reports = train(config, seed=0, context=whole)
    assert [epoch for epoch, _ in reported] == [3, 4]
    assert [report.trained_here for report in reports] == [False, False, True]


def test_a_training_that_is_a_part_of_another_finds_all_of_it(config, branches_apart, make_context):
    train(config, seed=0, context=make_context("whole"))
    reported = []
    apart = make_context("apart", recorder(reported))
    reports = train(branches_apart, seed=0, context=apart)
    assert reported == []
    assert not any(report.trained_here for report in reports)
    assert (apart.checkpoint_dir / MODEL_NAME).is_file()


@pytest.mark.parametrize("held", ["image", "keypoints"])
def test_leaves_are_trained_side_by_side(branches_apart, make_context, held):
    """While another training holds a leaf, this one trains the other, whichever it is."""
    holder = ExitStack()
    folder = stage_folder(make_context(), branches_apart, held)
    holder.enter_context(first_free([folder], Workers(rank=0, world_size=1)))
    reported = []

    def release_at_the_end_of_the_other(epoch, _metrics):
        reported.append(epoch)
        if epoch == (2 if held == "image" else 1):
            holder.close()

    train(branches_apart, seed=0, context=make_context("b", release_at_the_end_of_the_other))
    assert reported == ([2, 0, 1] if held == "image" else [0, 1, 2])


@pytest.fixture
def texture_last(config):
    """The hand without its picture, then texture and light alone."""
    image = replace(config.stages[0], without=PICTURE_LOSSES)
    texture = replace(config.stages[0], name="texture", branch="appearance", learning_rate=1e-2)
    return replace(config, losses=LossConfig(), stages=(image, texture))


def test_texture_and_light_are_trained_on_hands_that_stay(texture_last, make_context):
    context = make_context()
    train(texture_last, seed=0, context=context)
    hand, texture = (
        load_checkpoint(stage_folder(context, texture_last, name) / "final.pt").model
        for name in ("image", "texture")
    )
    assert {name.split(".")[0] for name in hand} == {"encoder", "head"}
    assert {name.split(".")[0] for name in texture} == {"texture_light_head"}
    weights = final_weights(context)
    assert_same_weights({**hand, **texture}, weights)
    untrained = S2Hand(texture_last).texture_light_head.state_dict()
    assert not torch.equal(weights["texture_light_head.light.2.bias"], untrained["light.2.bias"])


def test_what_a_stage_computes_with_is_not_trained_further_before(
    texture_last, make_context, monkeypatch
):
    """Whatever others hold: a later stage of the hand waits until the texture has its turn."""

    @contextmanager
    def last_free(folders, _workers):
        yield len(folders) - 1

    monkeypatch.setattr(s2hand.training.loop, "first_free", last_free)
    further = replace(texture_last.stages[0], name="further", epochs=1)
    reported = []
    train(
        replace(texture_last, stages=(*texture_last.stages, further)),
        seed=0,
        context=make_context("whole", recorder(reported)),
    )
    assert [epoch for epoch, _ in reported] == [0, 1, 2, 3, 4]


def test_a_stage_is_the_same_training_wherever_it_stands(config, make_context, tmp_path):
    image, keypoints, motion = config.stages
    found = []
    for place, stages in enumerate([(image, keypoints, motion), (keypoints, image, motion)]):
        # With folders of stages of their own: nothing is shared, all is trained.
        context = replace(make_context(f"{place}"), stage_dir=tmp_path / f"stages{place}")
        reports = train(replace(config, stages=stages), seed=0, context=context)
        assert all(report.trained_here for report in reports)
        found.append(final_weights(context))
    assert_same_weights(*found)


def test_the_frames_of_an_epoch_do_not_depend_on_the_losses(config, make_context, monkeypatch):
    """Rows that differ in a loss see the same frames: they can be compared in pairs of a seed."""
    batch, seen = FrameDataset.batch, []

    def recorded(self, rows, **settings):
        made = batch(self, rows, **settings)
        seen.append((list(rows), made.intrinsics_px))
        return made

    monkeypatch.setattr(FrameDataset, "batch", recorded)
    orders = []
    for name, weight in (("a", 0.05), ("b", 0.1)):
        weights = replace(config.losses.weights, quaternion=weight, shape_prior=weight)
        seen.clear()
        context = make_context(name)
        train(replace(config, losses=replace(config.losses, weights=weights)), seed=0,
              context=replace(context, stage_dir=context.stage_dir / name))  # fmt: skip
        orders.append(list(seen))
    assert len(orders[0]) == len(orders[1])
    for (rows, cameras), (other_rows, other_cameras) in zip(*orders, strict=True):
        assert rows == other_rows
        assert torch.equal(cameras, other_cameras)
    # And no stage repeats another's order.
    epochs = [rows for rows, _ in orders[0] if len(rows) == 8]
    assert len({tuple(rows) for rows in epochs}) == len(epochs)


class Clock:
    """Time that passes in epochs alone, a second in each."""

    def __init__(self, monkeypatch):
        self.now = 0.0

        def slow(*arguments):
            self.now += 1
            return seed_epoch(*arguments)

        monkeypatch.setattr(s2hand.training.stage_run, "seed_epoch", slow)
        monkeypatch.setattr(s2hand.training.stage_run.time, "perf_counter", lambda: self.now)


def test_reports_hold_the_time_of_all_attempts_and_of_whoever_trained(
    config, make_context, monkeypatch
):
    clock = Clock(monkeypatch)
    with pytest.raises(StopTrainingError):
        train(config, seed=0, context=make_context("a", stop_at(0)))
    partial = read_stage_reports(make_context("a").checkpoint_dir)
    assert [(r.name, r.training_s, r.trained_here) for r in partial] == [("image", 1, True)]
    clock.now += 1000  # between the attempts
    other = replace(config, losses=LossConfig(weights=LossWeights(smooth=0.05)))
    with pytest.raises(StopTrainingError):
        train(other, seed=0, context=make_context("b", stop_at(3)))
    reports = train(config, seed=0, context=make_context("a"))
    expected = [("image", 2, True), ("keypoints", 1, False), ("motion", 2, True)]
    assert [(r.name, r.training_s, r.trained_here) for r in reports] == expected
    identities = identities_of(config)
    assert [r.stage_id for r in reports] == [stage_id(each) for each in identities.values()]
    again = train(config, seed=0, context=make_context("a"))
    assert again == reports == read_stage_reports(make_context("a").checkpoint_dir)
    of_the_other = train(other, seed=0, context=make_context("b"))
    assert [(r.name, r.training_s, r.trained_here) for r in of_the_other] == [
        ("image", 2, True), ("keypoints", 1, True), ("motion", 2, True),
    ]  # fmt: skip


def test_a_stage_left_at_its_last_report_is_noted_by_whoever_finishes_it(
    config, make_context, monkeypatch
):
    Clock(monkeypatch)
    with pytest.raises(StopTrainingError):
        train(config, seed=0, context=make_context("a", stop_at(1)))
    assert not list(make_context().stage_dir.glob("*/final.pt"))
    reports = train(config, seed=0, context=make_context("b"))
    assert [(r.name, r.training_s, r.trained_here) for r in reports] == [
        ("image", 2, False), ("keypoints", 1, True), ("motion", 2, True),
    ]  # fmt: skip
    assert read_stage_reports(make_context("b").checkpoint_dir) == reports


def test_lost_reports_are_made_again_and_damaged_ones_are_named(config, make_context):
    context = make_context()
    train(config, seed=0, context=context)
    path = context.checkpoint_dir / "stages.json"
    for damaged in (path.read_text()[:-9], '[{"name": "image"}]', "5", "[" * 100_000):
        path.write_text(damaged)
        with pytest.raises(CheckpointError, match=r"stages\.json: .* delete it"):
            train(config, seed=0, context=context)
    path.unlink()
    reported = []
    reports = train(config, seed=0, context=make_context(on_report=recorder(reported)))
    assert reported == []
    assert [report.name for report in reports] == ["image", "keypoints", "motion"]
    assert all(report.training_s > 0 for report in reports)


@pytest.mark.parametrize("write", ["save_checkpoint", "save_model"])
def test_a_crash_at_any_write_loses_nothing(config, make_context, tmp_path, monkeypatch, write):
    """Killed before or after each file that is written, again and again: the same weights."""
    whole = replace(make_context("whole"), stage_dir=tmp_path / "whole")
    train(config, seed=0, context=whole)
    module = s2hand.training.loop if write == "save_model" else s2hand.training.stage_run
    save, writes = getattr(module, write), []

    def killed(*arguments):
        writes.append(arguments)
        if len(writes) % 2:
            save(*arguments)
        raise StopTrainingError

    context, epochs = make_context("killed"), []
    with monkeypatch.context() as patch:
        patch.setattr(module, write, killed)
        for _ in range(60):
            try:
                train(config, seed=0, context=replace(context, on_report=recorder(epochs)))
            except StopTrainingError:
                continue
            break
    train(config, seed=0, context=context)
    assert len(writes) > 1 or write == "save_model"
    assert_same_weights(final_weights(whole), final_weights(context))
    assert sorted(path.name for path in context.stage_dir.glob("*/*.pt")) == ["final.pt"] * 3


def test_the_stage_of_another_seed_is_another(config, make_context):
    context = make_context()
    assert stage_folder(context, config, "image", 0) != stage_folder(context, config, "image", 1)


def test_a_checkpoint_of_another_configuration_is_refused_by_field(config, make_context):
    train(config, seed=0, context=make_context())
    stages = (*config.stages[:2], replace(config.stages[2], learning_rate=3e-4))
    other = replace(config, stages=stages)
    expected = r"motion\.stage\.learning_rate: 0\.0001 .* 0\.0003"
    with pytest.raises(CheckpointError, match=expected):
        train(other, seed=0, context=make_context())


def test_a_truncated_file_is_refused_by_name(config, make_context):
    context = make_context()
    train(config, seed=0, context=context)
    path = context.checkpoint_dir / MODEL_NAME
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a whole safetensors file"):
        train(config, seed=0, context=context)
    path.unlink()
    path = stage_folder(context, config, "motion") / "final.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"final\.pt: not a whole checkpoint"):
        train(config, seed=0, context=context)


def test_a_non_finite_loss_names_its_term_and_samples(config, make_context, monkeypatch):
    forward = S2Hand.forward

    def broken(self, images, *camera, outputs):
        prediction = forward(self, images, *camera, outputs=outputs)
        hand = replace(prediction.hand, betas=prediction.hand.betas * float("nan"))
        return replace(prediction, hand=hand)

    monkeypatch.setattr(S2Hand, "forward", broken)
    with pytest.raises(NonFiniteLossError, match=r"'shape_prior' .* samples \[S\d/000\d, ") as info:
        train(config, seed=0, context=make_context())
    assert len(info.value.sample_ids) == 8
    assert not list(make_context().stage_dir.glob("*/*.pt"))  # nothing broken is kept


def test_more_workers_than_processes_are_refused(config, make_context):
    config = replace(config, optimiser=replace(config.optimiser, world_size=2))
    with pytest.raises(ConfigurationError, match="world_size=2 must be the number of workers"):
        train(config, seed=0, context=make_context())
    context = replace(make_context(), world_size=2)
    with pytest.raises(ConfigurationError, match=r"connected by torch\.distributed, got 1"):
        train(config, seed=0, context=context)


def test_a_forward_pass_of_one_frame_is_refused(config, make_context):
    config = replace(config, optimiser=replace(config.optimiser, micro_batch_size=7))
    with pytest.raises(ConfigurationError, match="at least 2 frames for batch normalisation"):
        train(config, seed=0, context=make_context())
