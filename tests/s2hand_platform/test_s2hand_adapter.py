"""The adapter of S2HAND: configurations, where data lies, and its commands."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import s2hand.synthetic
from s2hand.config import DataConfig, RuntimeConfig, S2HandConfig
from s2hand.data.manifest import GENERATOR_VERSION, manifest_content
from s2hand.data.sample import FrameTable
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.loader import load_hand_model
from s2hand.metrics.curves import CURVES, Curve
from s2hand.metrics.evaluate import SetEvaluation
from s2hand.synthetic.detector import DETECTORS
from s2hand.training.context import LocalContext
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.protocol import ThresholdCurve
from s2hand_platform.experiments.s2hand import (
    S2HandExperiment,
    evaluation,
    experiment,
    hand_pictures,
)
from s2hand_platform.experiments.s2hand.datasets import (
    STORED_IMAGE_SIZE_PX,
    DetectorName,
    SizeName,
    synthetic_folder,
)
from s2hand_platform.experiments.s2hand.pictures import NUM_SAMPLES, pictured
from s2hand_platform.spec.overrides import lay_over
from s2hand_platform.workspace import Workspace

EXPERIMENT = S2HandExperiment()


@pytest.fixture(autouse=True)
def _no_hand_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2HAND_MANO", raising=False)


def test_the_driver_s_hand_model_is_written_into_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = EXPERIMENT.dump_config(EXPERIMENT.build_config({}))
    assert embedded["model"]["hand_model"] == "embedded"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2HAND_MANO", "models/MANO_RIGHT.pkl")
    own = EXPERIMENT.dump_config(EXPERIMENT.build_config({}))
    assert own["model"]["hand_model"] == str(tmp_path / "models" / "MANO_RIGHT.pkl")
    named = EXPERIMENT.build_config({"model": {"hand_model": "other.pkl"}})
    assert named.model.hand_model == str(tmp_path / "other.pkl")
    # A worker reads the configuration under an environment of its own.
    assert EXPERIMENT.build_config(embedded).model.hand_model == "embedded"
    monkeypatch.setenv("S2HAND_MANO", "/elsewhere.pkl")
    assert EXPERIMENT.dump_config(EXPERIMENT.build_config(own)) == own


def test_every_size_of_the_benchmark_can_be_made() -> None:
    assert get_args(SizeName) == get_args(s2hand.synthetic.SizeName)
    assert get_args(DetectorName) == tuple(DETECTORS)
    assert set(STORED_IMAGE_SIZE_PX) == set(s2hand.synthetic.SIZES)


def test_every_detector_s_set_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [
        synthetic_folder(Workspace(tmp_path), "demo", detections).name for detections in DETECTORS
    ]
    assert folders == ["synthetic-demo", "synthetic-demo-calibrated"]


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({"size": "demo"}, []),
        ({}, ["size: is missing"]),
        ({"size": "dem"}, ["size: unknown size 'dem'; did you mean 'demo'?"]),
        (
            {"size": "pretraining"},
            ["size: unknown size 'pretraining'; known here: demo, compact, small, full"],
        ),
        ({"size": "demo", "sise": 1}, ["sise: unknown key 'sise'; did you mean 'size'?"]),
    ],
)
def test_a_scale_names_a_size(data: dict[str, object], faults: list[str]) -> None:
    assert EXPERIMENT.check_scale_data(data) == faults


def test_where_data_lies(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    made = workspace.data_dir / "synthetic-demo" / "ho3d"
    own = tmp_path / "own"
    for folder in (made, own, workspace.data_dir / "freihand"):
        folder.mkdir(parents=True)

    def overrides(*data: str, dataset: str = "ho3d", extra: Sequence[str] = ()) -> Any:
        return EXPERIMENT.data_overrides(data, (dataset, *extra), workspace, {"size": "demo"})

    assert overrides("synthetic")["data.root"] == str(made)
    assert overrides(str(own))["data.root"] == str(own)
    official = str(workspace.data_dir / "freihand")
    assert overrides("freihand", dataset="freihand")["data.root"] == official
    for words in (("synthetic", f"freihand={own}"), (f"freihand={own}", "synthetic")):
        assert overrides(*words)["data.root"] == str(made)
        assert overrides(*words, dataset="freihand")["data.root"] == str(own)
    mixed = overrides(f"ho3d={own}", "freihand", extra=["freihand"])
    assert (mixed["data.root"], mixed["data.extra_roots"]) == (str(own), [official])
    named = EXPERIMENT.dataset_overrides("ho3d", ["freihand"])
    data = EXPERIMENT.build_config(lay_over(named, mixed)).data
    assert data.training_datasets == ("ho3d", "freihand")
    assert (data.root, data.extra_roots) == (str(own), (official,))


def test_searches_on_synthetic_data_are_validated_on_its_own_set(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    root = workspace.data_dir / "synthetic-demo"

    def overrides(data: str) -> dict[str, object]:
        return EXPERIMENT.search_overrides([data], "ho3d", workspace, {"size": "demo"})

    with pytest.raises(SpecError, match=r"expected the ho3d validation set at .*--size demo"):
        overrides("synthetic")
    (root / "validation" / "ho3d").mkdir(parents=True)
    search = {"data": {"validation_fraction": 0.1}}
    assert EXPERIMENT.build_config(search).data.validation_fraction == 0.1
    for path, value in overrides("synthetic").items():
        search["data"][path.removeprefix("data.")] = value
    data = EXPERIMENT.build_config(search).data
    assert data.validation_root == str(root / "validation" / "ho3d")
    assert data.validation_fraction == 0
    assert overrides(str(tmp_path)) == overrides("ho3d") == {}


def test_a_synthetic_set_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    root = workspace.data_dir / "synthetic-demo"
    (root / "ho3d").mkdir(parents=True)
    for version in (GENERATOR_VERSION, GENERATOR_VERSION - 1):
        content = manifest_content({"generator_version": version}, {"ho3d/train.txt": ""}, {})
        (root / "manifest.json").write_bytes(content)
        if version == GENERATOR_VERSION:
            EXPERIMENT.data_overrides(["synthetic"], ["ho3d"], workspace, {"size": "demo"})
    with pytest.raises(SpecError, match=rf"of version {version} .* make it with: s2hand data make"):
        EXPERIMENT.data_overrides(["synthetic"], ["ho3d"], workspace, {"size": "demo"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("synthetic", "make it with: s2hand data make synthetic --size demo"),
        ("freihand", "data: ho3d is read, and only freihand named; add ho3d=FOLDER"),
        ("freihand=a", "data: ho3d is read, and only freihand named; add ho3d=FOLDER"),
        ("ho3d=nowhere", "expected the ho3d set at nowhere, there is nothing; give a folder"),
        ("ho3d=a ho3d=b", "data: 'a' and 'b' are both given for one set; leave one out"),
        ("synthetic nowhere", "'synthetic' and 'nowhere' are both given for one set"),
        ("ho4d=a", "youtube3d, folder, got 'ho4d=a'; a folder of this name is ./ho4d=a"),
        ("ho3d=", "must be NAME=FOLDER"),
        ("ho3d", "put the official download there, or give its folder in the place of the name"),
        ("nowhere", "expected the ho3d set at nowhere, there is nothing; give a folder in the"),
    ],
)
def test_data_that_is_not_there(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        EXPERIMENT.data_overrides(data.split(), ["ho3d"], Workspace(tmp_path), {"size": "demo"})
    assert message in str(caught.value)


def test_where_imagenet_weights_are_taken_from_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="s2hand_platform")
    monkeypatch.delenv("S2HAND_IMAGENET_WEIGHTS", raising=False)
    EXPERIMENT.build_config({"preset": "cpu"})
    assert "ImageNet" not in caplog.text
    EXPERIMENT.build_config({})
    assert "ImageNet weights: torch's cache (TORCH_HOME), or else downloaded" in caplog.text
    monkeypatch.setenv("S2HAND_IMAGENET_WEIGHTS", "/mine.pth")
    EXPERIMENT.build_config({})
    assert "ImageNet weights: /mine.pth (S2HAND_IMAGENET_WEIGHTS)" in caplog.text


def test_data_that_may_not_be_looked_at_is_told(
    tmp_path: Path, locked: Callable[[Path], AbstractContextManager[None]]
) -> None:
    workspace = Workspace(tmp_path)
    folder = workspace.data_dir
    folder.mkdir()
    for data in (str(folder / "mine"), "ho3d", "synthetic"):
        with locked(folder), pytest.raises(SpecError, match=r"opened \(Permission denied\); check"):
            EXPERIMENT.data_overrides([data], ["ho3d"], workspace, {"size": "demo"})


def test_the_hand_is_shown_and_exported(tmp_path: Path) -> None:
    hand = command_groups()["hand"]
    picture, model = tmp_path / "hand.png", tmp_path / "MANO_RIGHT.pkl"
    shown = CliRunner().invoke(hand, ["show", "-o", str(picture), "--side", "32", "--sampled", "1"])
    assert shown.exit_code == 0, shown.output
    with Image.open(picture) as image:
        pixels = np.asarray(image)
    postures = " ".join(shown.output.split()).split(": ")[1].split(";")[0].split(", ")
    assert postures[-2:] == ["mean", "sampled"]
    assert pixels.shape == (2 * 32, len(postures) * 32, 3)
    for column in np.split(pixels, len(postures), axis=1):
        assert column[:32].std() > 0
        assert column[32:].std() > 0
    assert CliRunner().invoke(hand, ["export", str(model)]).exit_code == 0
    assert load_hand_model(model).fingerprint == embedded_hand().fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [("nosuch/hand.png", "there is no folder"), ("hand", "a file's name that ends in .png")],
)
def test_a_picture_that_could_not_be_written_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr(hand_pictures, "draw_postures", None)
    shown = CliRunner().invoke(command_groups()["hand"], ["show", "-o", str(tmp_path / name)])
    assert isinstance(shown.exception, SpecError)
    assert message in str(shown.exception)
    assert not list(tmp_path.iterdir())


def test_a_worker_that_verifies_its_data_reads_no_set_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = []

    def read_training(config: S2HandConfig) -> str:
        reads.append("training")
        return "a"

    def read_all(config: S2HandConfig, *, training: str | None = None) -> str:
        reads.append("others" if training == "a" else "everything")
        return "b"

    monkeypatch.setattr(experiment, "fingerprint_training_data", read_training)
    monkeypatch.setattr(experiment, "fingerprint_data", read_all)
    monkeypatch.setattr(experiment, "describe_datasets", lambda config: reads.append("record"))
    worker = S2HandExperiment()
    config = worker.build_config({})
    trained, measured = (
        worker.fingerprint_training_data(config),
        worker.fingerprint_evaluation_data(config),
    )
    assert trained != measured
    assert reads == ["training", "others"]


def test_notes_and_curves_of_every_set_reach_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes also on a collection that is trained on, whose frames are not measured."""

    def table(split: str) -> FrameTable:
        return FrameTable(
            sample_ids=("0",), image_paths=(tmp_path,), sequences=("",), frames=np.zeros(1, int),
            intrinsics_px=np.zeros((1, 3, 3), np.float32),
            detected_keypoints_px=np.zeros((1, 21, 2), np.float32),
            detection_confidence=np.zeros((1, 21), np.float32),
            crop_box_px=np.full((1, 4), np.nan, np.float32), notes={"keypoints found": split},
        )  # fmt: skip

    measured = []

    class Split:
        def __init__(self, table: FrameTable, config: S2HandConfig) -> None:
            self.frames = SimpleNamespace(table=table)

        def predict(self, model: object, *, outputs: object) -> str:
            measured.append(self.frames.table.notes["keypoints found"])
            return measured[-1]

    def evaluate(predictions: str, table: FrameTable) -> SetEvaluation:
        assert table.notes["keypoints found"] == predictions
        return SetEvaluation(
            metrics={}, samples={}, sample_ids=("0",), parameters={}, evaluator_id="none"
        )

    def curves_of(predictions: str, table: FrameTable) -> dict[str, Curve]:
        assert table.notes["keypoints found"] == predictions
        half = np.array([0.0, 0.5 if predictions == "test" else 1.0])
        return {"projected": Curve(unit="px", thresholds=np.array([0.0, 1.0]), shares=half)}

    for split in ("train", "test", "validation"):
        monkeypatch.setattr(evaluation, f"load_{split}", lambda _, split=split: table(split))
    monkeypatch.setattr(evaluation, "_Split", Split)
    monkeypatch.setattr(evaluation, "_readable", lambda table, _: table)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(evaluation, "curves_of", curves_of)
    pictures = {"input": b""}
    monkeypatch.setattr(
        evaluation, "draw", lambda _, frames: {frames.table.notes["keypoints found"]: pictures}
    )
    model = SimpleNamespace(outputs=frozenset(["hand"]))
    monkeypatch.setattr(evaluation, "load_model", lambda *_, **__: model)
    config = S2HandConfig(data=DataConfig(dataset="freihand"))
    context = LocalContext(checkpoint_dir=tmp_path, stage_dir=tmp_path)
    found = evaluation.evaluate_training(config, context)
    assert found.notes == {
        f"keypoints found ({split} set)": split for split in ("train", "test", "validation")
    }
    assert measured == ["test", "validation"]
    assert found.pictures == {split: {split: pictures} for split in measured}
    projected = CURVES["projected"]
    about = {name: getattr(projected, name) for name in ("figure", "says", "area_of")}
    assert found.threshold_curves == {
        split: {
            "projected": ThresholdCurve(
                **about, unit="px", thresholds=[0.0, 1.0], shares=[0.0, share]
            )
        }
        for split, share in (("test", 0.5), ("validation", 1.0))
    }
    without = replace(config, runtime=RuntimeConfig(keep_predictions=False))
    assert evaluation.evaluate_training(without, context).pictures == {}


def test_the_same_few_samples_are_pictured_whatever_else_there_is() -> None:
    ids = [f"{number:08d}" for number in range(200)]
    chosen = {ids[place] for place in pictured(ids)}
    assert len(chosen) == NUM_SAMPLES == 12
    assert {ids[::-1][place] for place in pictured(ids[::-1])} == chosen  # not by their order
    fewer = [name for name in ids if name in chosen or int(name) % 2]
    assert {fewer[place] for place in pictured(fewer)} == chosen  # nor by the others
    assert max(map(int, chosen)) - min(map(int, chosen)) > 100
    assert pictured(["b", "a"]) == [0, 1]


def test_data_are_not_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = CliRunner().invoke(
        command_groups()["data"], ["make", "synthetic", "--workspace", str(tmp_path / "file")]
    )
    assert isinstance(made.exception, SpecError)
    assert "must be a folder" in str(made.exception)
    assert (tmp_path / "file").read_text() == ""
