"""Every row of every table trains and fills its cells, on a benchmark of a few pictures."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_weights import write_weights

from s2hand.config import LossConfig
from s2hand.data.build import load_test
from s2hand.data.dataset import FrameDataset
from s2hand.evaluation import evaluate_model
from s2hand.inference import Predictor
from s2hand.model import S2Hand
from s2hand.synthetic import NamespaceSize, make_synthetic
from s2hand.training.context import LocalContext
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.experiments.s2hand import S2HandExperiment
from s2hand_platform.identity import config_hash
from s2hand_platform.planning.plan import Plan
from s2hand_platform.planning.planner import plan_table
from s2hand_platform.spec.expansion import expand_table
from s2hand_platform.spec.loader import load_scale, load_table
from s2hand_platform.spec.schema import RowSpec, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tracking.sink import Sinks
from s2hand_platform.workspace import Workspace

SWEEPS = Path(__file__).parents[2] / "sweeps"
EXPERIMENT = S2HandExperiment()
PX = 32
SPLIT = NamespaceSize(
    images=8, sequences=2, min_frames=20, max_frames=22, subjects=2, backgrounds=2, objects=2
)
VIDEOS = NamespaceSize(
    images=0, sequences=2, min_frames=12, max_frames=14, subjects=2, backgrounds=2, objects=1
)
MINIATURE = {
    "model.encoder": "convnet",
    "model.pretrained": "none",
    "model.image_size_px": PX,
    "model.keypoint_stacks": 1,
    "model.keypoint_channels": 8,
    "clips.frames_per_batch": 6,
    "optimiser.batch_size": 8,
    **{f"stages.{name}.epochs": 1 for name in ("image", "keypoints", "finetune")},
}


@pytest.fixture(scope="module")
def benchmark_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    make_synthetic(root, size={"training": SPLIT, "test": SPLIT}, seed=0, image_size_px=PX)
    make_synthetic(root, size={"in_the_wild": VIDEOS}, seed=0, image_size_px=PX)
    return root


@pytest.fixture(scope="module")
def results() -> dict[str, Evaluation]:
    """What is trained once serves every table."""
    return {}


@pytest.fixture(autouse=True)
def keep_torch_s_settings() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(mode=False)


def miniature(name: str, root: Path) -> TableSpec:
    spec = load_table(SWEEPS / "tables" / f"{name}.toml", EXPERIMENT)
    return spec.over_rows(lambda row: MINIATURE | placed(row, root))


def placed(row: RowSpec, root: Path) -> dict[str, object]:
    extra = [str(root / "in_the_wild" / dataset) for dataset in row.extra_datasets]
    return {"data.root": str(root / row.dataset), "data.extra_roots": extra}


@pytest.mark.parametrize(
    "name", [*(f"table{number}" for number in range(1, 10)), "figure5", "figure6"]
)
def test_every_row_trains_and_fills_its_cells(
    name: str, benchmark_root: Path, results: dict[str, Evaluation], tmp_path_factory
) -> None:
    spec = miniature(name, benchmark_root)
    stages = tmp_path_factory.getbasetemp() / "stages"
    for row in expand_table(spec, EXPERIMENT):
        key = config_hash(EXPERIMENT, row.dump)
        if key not in results:
            folder = tmp_path_factory.mktemp("trial")
            context = LocalContext(checkpoint_dir=folder, stage_dir=stages)
            EXPERIMENT.train(row.config, 0, context)
            results[key] = EXPERIMENT.evaluate(row.config, 0, context)
        metrics = results[key].metrics
        for column in spec.columns:
            assert math.isfinite(metrics[column.metric]), (row.row.id, column.metric)
        areas = dict(areas_under_curves(results[key]))
        assert {"test/pa_auc_j_0_50mm", "test/pa_auc_v_0_50mm"} < areas.keys()
        if name == "figure6":  # the figure's five curves: detections, and of two rows these two
            sources = ("detected", "projected", "heatmap")
            assert {f"train/{each}_keypoint_auc" for each in sources} < areas.keys()
        for metric, area in areas.items():
            assert area == pytest.approx(metrics[metric], abs=1e-12), metric


def areas_under_curves(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """Yield the metric that each kept curve says it is the area of, and the area."""
    for split, curves in evaluation.threshold_curves.items():
        for curve in curves.values():
            span = curve.thresholds[-1] - curve.thresholds[0]
            yield f"{split}/{curve.area_of}", np.trapezoid(curve.shares, curve.thresholds) / span


def test_rows_that_agree_in_a_stage_shared_it(
    benchmark_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of the 3D branch FreiHAND's tables have five: three of Table 3's losses, on true keypoints
    (Table 6), on true joints (Figure 5). HO-3D's have four: with a camera, without (Table 8), that
    with videos from the wild, and on true keypoints. The 2D branch knows no camera.
    """
    stages = tmp_path_factory.getbasetemp() / "stages"
    finals = sorted(stages.glob("*/final.pt"))
    identities = [torch.load(path, weights_only=True)["identity"] for path in finals]
    parts = [identity["model"] for identity in identities if identity["depth"] == 0]
    assert sum("encoder" in each for each in parts) == 5 + 4
    assert sum("keypoint_channels" in each for each in parts) == 2 + 3


def test_results_say_how_many_sequences_hold_a_long_clip(
    benchmark_root: Path, tmp_path: Path
) -> None:
    """Counted again from the names of the pictures."""
    sequences = [
        {int(path.stem) for path in folder.glob("rgb/*.jpg")}
        for folder in (benchmark_root / "ho3d" / "train").iterdir()
    ]
    fitting = sum(any(frame + 24 in frames for frame in frames) for frames in sequences)
    assert 0 < fitting < len(sequences)
    longer = {"clips.frame_interval": 24, "clips.num_frames": 2}
    spec = miniature("table4", benchmark_root).over_rows(lambda _: longer)
    configs = {row.row.id: row.config for row in expand_table(spec, EXPERIMENT)}
    context = LocalContext(checkpoint_dir=tmp_path / "trial", stage_dir=tmp_path / "stages")
    EXPERIMENT.train(configs["temporal"], 0, context)
    assert EXPERIMENT.evaluate(configs["temporal"], 0, context).notes == {
        "clips of 2 frames, 24 apart": f"{fitting} of {len(sequences)} training sequences hold one"
    }


@pytest.mark.usefixtures("one_thread")
def test_rows_that_start_from_a_model_train_their_last_stage_alone(
    benchmark_root: Path, tmp_path: Path
) -> None:
    """And that model itself, in the first row, is measured as it is, without a step."""
    scale = load_scale(SWEEPS / "scales" / "demo.toml", EXPERIMENT)
    sizes = {
        path: value
        for path, value in MINIATURE.items()
        if path != "model.pretrained" and not path.startswith("stages.")
    }
    table = load_table(SWEEPS / "tables" / "table4.toml", EXPERIMENT).at(scale)
    once = {"stages.finetune.epochs": 1, "model.weights_dir": str(tmp_path / "weights")}
    spec = replace(table, rows=(table.rows[0], table.rows[-1])).over_rows(
        lambda row: sizes | placed(row, benchmark_root) | once
    )
    configs = {row.row.id: row.config for row in expand_table(spec, EXPERIMENT)}
    assert list(configs) == ["unadapted", "quaternion"]
    whole = replace(configs["quaternion"], losses=LossConfig())  # with all parts
    weights = write_weights(tmp_path / "weights", "s2hand", whole)

    workspace = Workspace(tmp_path / "workspace")
    store = ResultStore(workspace.store_dir)
    plan = plan_table(spec, EXPERIMENT, store, [0])
    summary = run_in_process(plan, EXPERIMENT, workspace, Sinks([]))
    assert [outcome.status for outcome in summary.outcomes] == ["finished"] * 2
    lines = store.attempts().set_index("trial_id")
    stages = {
        trial.members[0].name: json.loads(lines.loc[trial.trial_id, "stages_json"])
        for trial in plan.trials
    }
    assert stages["unadapted"] == []
    assert [stage["name"] for stage in stages["quaternion"]] == ["finetune"]

    # The same numbers from the file alone: no platform, no training.
    config = configs["unadapted"]
    frames = FrameDataset.from_config(load_test(config), config)
    model = S2Hand(config).eval()
    model.to(memory_format=model.memory_format)
    measured = evaluate_model(Predictor(model), frames, batch_size=256, outputs=model.outputs)
    outcomes = dict(zip(stages, summary.outcomes, strict=True))
    assert outcomes["unadapted"].training_s == 0
    for name, value in measured.metrics.items():
        assert outcomes["unadapted"].metrics[f"test/{name}"] == value
    name = "test/pa_mpjpe_cm"
    assert outcomes["quaternion"].metrics[name] != outcomes["unadapted"].metrics[name]
    assert {trial.status for trial in plan_table(spec, EXPERIMENT, store, [0]).trials} == {"cached"}

    content = bytearray(weights.path.read_bytes())
    content[-1] ^= 1
    weights.path.write_bytes(content)
    again = plan_table(spec, EXPERIMENT, store, [0])
    assert [(trial.status, trial.reason) for trial in again.trials] == [
        ("stale", "finished before, but the starting weights 's2hand' changed since")
    ] * 2
    # A worker whose weights are not those of the plan refuses the trial.
    elsewhere = Workspace(tmp_path / "elsewhere")
    planned = replace(plan.trials[0], status="missing")
    (refused,) = run_in_process(Plan(trials=(planned,)), EXPERIMENT, elsewhere, Sinks([])).outcomes
    assert (refused.status, refused.failure) == ("failed", "code")
    assert (
        "the starting weights 's2hand' must have the content that the trial was planned with"
        in (refused.reason)
    )
