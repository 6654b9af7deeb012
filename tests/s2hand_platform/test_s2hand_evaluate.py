"""``s2hand evaluate``: scores where there is truth, a file for the server where there is none."""

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from s2hand.config import PRESETS, DataConfig, ModelConfig
from s2hand.data.dataset import FrameDataset
from s2hand.errors import CheckpointError, DataError
from s2hand.evaluation import evaluate_model
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.fingertips import HO3D_FINGERTIPS
from s2hand.hand.layer import HandLayer
from s2hand.inference import Predictor
from s2hand.metrics.descriptions import METRICS
from s2hand.model import S2Hand
from s2hand.trained_model import ModelRecord, save_model
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import S2HandExperiment, official

COUNT, SIZE = 4, 48
CAMERA = np.array([[120.0, 0, 23.5], [0, 120, 23.5], [0, 0, 1]])
HO3D_FROM_OPENPOSE = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
CONFIG = replace(
    PRESETS["cpu"],
    model=ModelConfig(
        encoder="convnet", pretrained="none", image_size_px=32, keypoint_stacks=1,
        keypoint_channels=8, hand_model="embedded",
    ),
)  # fmt: skip


def true_hands(**tips: Any) -> tuple[np.ndarray, np.ndarray]:
    random = torch.Generator().manual_seed(0)
    hands = HandLayer(embedded_hand(), **tips)(
        betas=torch.randn(COUNT, 10, generator=random) / 3,
        hand_pose_pca=torch.randn(COUNT, 30, generator=random) / 3,
        global_orient=torch.full((COUNT, 3), 1.2),
        transl=torch.tensor([0, 0, 0.6]).expand(COUNT, 3),
    )
    return hands.joints.double().numpy(), hands.vertices.double().numpy()


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in names:
        Image.fromarray(random.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(
            folder / name
        )


@pytest.fixture
def freihand(tmp_path: Path) -> Path:
    root = tmp_path / "Sätze mit Leerzeichen" / "freihand"
    write_images(root / "evaluation/rgb", [f"{index:08d}.jpg" for index in range(COUNT)])
    joints, vertices = true_hands()
    for name, values in (("K", [CAMERA] * COUNT), ("xyz", joints), ("verts", vertices)):
        path = root / f"evaluation_{name}.json"
        path.write_text(json.dumps(np.asarray(values).tolist()))
    return root


@pytest.fixture
def ho3d(tmp_path: Path) -> Path:
    root = tmp_path / "ho3d"
    names = [f"{index:04d}" for index in range(COUNT)]
    write_images(root / "evaluation/SM1/rgb", [f"{name}.png" for name in names])
    joints, vertices = true_hands(fingertips=HO3D_FINGERTIPS)
    seen = joints @ CAMERA.T
    seen_px = seen[..., :2] / seen[..., 2:]
    (root / "evaluation/SM1/meta").mkdir()
    for name, hand, points_px in zip(names, joints, seen_px, strict=True):
        box = [*points_px.min(0), *points_px.max(0)]
        meta = {"camMat": CAMERA, "handBoundingBox": box, "handJoints3D": hand[0] * [1, -1, -1]}
        (root / f"evaluation/SM1/meta/{name}.pkl").write_bytes(pickle.dumps(meta, protocol=2))
    (root / "evaluation.txt").write_text("".join(f"SM1/{name}\n" for name in names))
    in_file = {"xyz": joints[:, HO3D_FROM_OPENPOSE], "verts": vertices}
    for name, values in in_file.items():
        path = root / f"evaluation_{name}.json"
        path.write_text(json.dumps((values * [1, -1, -1]).tolist()))
    return root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    made = S2Hand(CONFIG)
    record = ModelRecord(
        config=CONFIG, identity={}, hand_fingerprint=made.hand_fingerprint, data={},
        initial_weights={},
    )  # fmt: skip
    path = tmp_path / "model.safetensors"
    save_model(made, record, path)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(command_groups()["evaluate"])

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return call


def scores_of(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_scores_are_those_of_an_evaluation_and_say_by_which_rules(
    run: Callable[..., Result], model: Path, freihand: Path, tmp_path: Path
) -> None:
    data = f"freihand={freihand}"
    first = run(model, "--data", data, "--json", "-o", tmp_path / "out")
    assert "packing 4 images of 32 x 32 px, 0.0 MB, into " in first.stderr
    found = scores_of(first)
    source = official.evaluation_set(data)
    opened = Predictor(official.open_model(str(model), "", "cpu")[0])
    frames = FrameDataset.from_config(source.load(), CONFIG)
    expected = evaluate_model(opened, frames, batch_size=3, outputs=opened.model.outputs)
    assert {name: each["value"] for name, each in found["metrics"].items()} == pytest.approx(
        expected.metrics, rel=1e-4
    )
    for name, metric in found["metrics"].items():
        known = METRICS[name]
        told = (metric["unit"], metric["better"], metric["description"])
        assert told == (known.unit, known.direction, known.description)
    assert (found["evaluator"], found["n"]) == (expected.evaluator_id, 1)
    assert "F-scores: near is strictly nearer than the threshold" in found["evaluator_in_words"]
    assert not (tmp_path / "pred.zip").exists()
    files = [tmp_path / "out/scores.json", tmp_path / "out/curves.json"]
    assert found.pop("written") == list(map(str, files))
    scores, curves = (json.loads(path.read_text()) for path in files)
    assert scores == found
    pa_auc = found["metrics"]["pa_auc_j_0_50mm"]["value"]
    assert curves["pa_joints"]["area"] == pytest.approx(pa_auc)
    shown = run(model, "--data", data)
    assert shown.exit_code == 0, shown.output
    assert "packing" not in shown.output  # they are there
    assert f"evaluator: {expected.evaluator_id}" in shown.output
    assert "(n = 1): no interval and no verdict" in shown.output
    (line,) = (each for each in shown.output.splitlines() if each.startswith("pa_mpjpe_cm "))
    assert line.split()[1:3] == [f"{expected.metrics['pa_mpjpe_cm']:.4f}", "cm"]


def test_without_truth_a_submission_is_written_and_there_are_no_scores(
    run: Callable[..., Result], model: Path, freihand: Path, tmp_path: Path
) -> None:
    for name in ("xyz", "verts"):
        (freihand / f"evaluation_{name}.json").unlink()
    data = f"freihand={freihand}"
    shown = run(model, "--data", data)
    assert shown.exit_code == 0, shown.output
    assert "no truth: there are no scores" in shown.output
    assert "wrote pred.zip" in shown.output
    found = scores_of(run(model, "--data", data, "-o", "out", "--json"))
    assert (found["metrics"], found["evaluator"]) == ({}, None)
    assert found["written"] == ["out/scores.json", "out/pred.zip"]
    assert (tmp_path / "out/pred.zip").read_bytes() == (tmp_path / "pred.zip").read_bytes()
    refused = run("--data", data, "--predictions", "pred.zip")
    assert isinstance(refused.exception, SpecError)
    assert "no truth to score pred.zip by" in str(refused.exception)


@pytest.mark.parametrize("name", ["freihand", "ho3d"])
def test_a_submission_scored_again_has_the_official_script_s_numbers(
    run: Callable[..., Result], model: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """On HO-3D these are of the file's fingertips."""
    data = f"{name}={request.getfixturevalue(name)}"
    ours = scores_of(run(model, "--data", data, "--submission", "mine.zip", "--json"))
    assert ours["written"] == ["mine.zip"]
    given = scores_of(run("--data", data, "--predictions", "mine.zip", "--json"))
    assert given["predictions"] == "mine.zip"
    assert " tips=given|" in given["evaluator"]
    infix = "dataset_tips_" if name == "ho3d" else ""
    pairs = {f"pa_mpjpe_{infix}cm": "pa_mpjpe_cm", f"pa_auc_j_{infix}0_50mm": "pa_auc_j_0_50mm"}
    pairs |= {each: each for each in ("pa_mpvpe_cm", "abs_mpvpe_cm", "f_score_15mm")}
    for before, after in pairs.items():
        values = (ours["metrics"][before]["value"], given["metrics"][after]["value"])
        assert values[1] == pytest.approx(values[0], abs=2e-4), before


def test_the_project_s_own_model_has_a_name(
    run: Callable[..., Result], freihand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S2Hand, "outputs", {"hand"})
    found = scores_of(run("s2hand", "--data", f"freihand={freihand}", "--json"))
    assert found["predictions"] == "s2hand"
    assert 0 < found["metrics"]["pa_mpjpe_cm"]["value"] < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a CHECKPOINT to predict with, or --predictions to score, one of both"),
        (["m", "--predictions", "p.json"], "one of both"),
        (["--predictions", "p.json", "--submission", "s.zip"], "of a model's predictions"),
        (["m", "--submission", "nosuch/s.zip"], "no folder for 'nosuch/s.zip'; make it"),
        (["m", "--data", "x"], "must be freihand=PATH or ho3d=PATH, got 'x'"),
        (["m", "--data", "ho3d="], "must be freihand=PATH or ho3d=PATH, got 'ho3d='"),
        (["m", "--data", "ho3d=s3://x"], "must be a path on a disk"),
        (["nosuch.safetensors"], "must be a trained model, there is nothing"),
        (["--predictions", "nosuch.json"], "folder of the dataset is missing"),
    ],
)
def test_what_cannot_be_done_is_told(
    run: Callable[..., Result], arguments: list[str], message: str
) -> None:
    refused = run("--data", "freihand=nosuch", *arguments)
    assert isinstance(refused.exception, SpecError | DataError | CheckpointError)
    assert message in str(refused.exception)


def test_a_submission_appears_whole_or_not_at_all(
    run: Callable[..., Result], model: Path, freihand: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    refused = run(model, "--data", f"freihand={freihand}", "--submission", taken)
    assert isinstance(refused.exception, SpecError)
    assert "taken: cannot be written" in str(refused.exception)
    with zipfile.ZipFile(tmp_path / "pred.zip", "w") as archive:
        archive.writestr("pred.json", json.dumps([[], []]))
    short = run("--data", f"freihand={freihand}", "--predictions", tmp_path / "pred.zip")
    assert isinstance(short.exception, DataError)
    assert "end before 00000000, 00000001, 00000002, 00000003 (4 of 4)" in str(short.exception)


@pytest.mark.parametrize("name", ["freihand", "ho3d"])
def test_a_row_of_somebody_s_predictions_has_the_scores_that_the_command_prints(
    run: Callable[..., Result], name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = request.getfixturevalue(name)
    joints, vertices = true_hands()
    joints = joints + np.random.default_rng(0).normal(scale=0.004, size=joints.shape)
    if name == "ho3d":  # its server's order, and its frame
        joints, vertices = joints[:, HO3D_FROM_OPENPOSE] * [1, -1, -1], vertices * [1, -1, -1]
    (tmp_path / "theirs.json").write_text(json.dumps([joints.tolist(), vertices.tolist()]))
    printed = scores_of(run("--data", f"{name}={root}", "--predictions", "theirs.json", "--json"))
    config = replace(CONFIG, data=DataConfig(dataset=name, root=str(root)))
    kept = S2HandExperiment().measure_predictions(config, tmp_path / "theirs.json")
    assert kept.evaluator_id == printed["evaluator"]
    assert {path: value for path, value in kept.metrics.items() if np.isfinite(value)} == {
        f"test/{metric}": each["value"]
        for metric, each in printed["metrics"].items()
        if each["value"] is not None
    }
    assert kept.metrics["test/pa_mpjpe_cm"] > 0.1


def write_annotated(root: Path) -> None:
    """A right hand in each of two frames, in YouTube-3D-Hands' layout."""
    names = [f"youtube/v/video/frames/{number}.png" for number in (1, 2)]
    write_images(root / "youtube/v/video/frames", ["1.png", "2.png"])
    _, vertices = true_hands()
    seen = vertices[0] @ CAMERA.T
    pixels = np.column_stack([seen[:, :2] / seen[:, 2:], 200 * (vertices[0, :, 2] - 0.6)])
    content = {
        "images": [
            {"name": name, "width": SIZE, "height": SIZE, "id": number}
            for number, name in enumerate(names)
        ],
        "annotations": [
            {"vertices": pixels.tolist(), "is_left": 0, "image_id": number, "id": number}
            for number in range(2)
        ],
    }
    (root / "youtube_val.json").write_text(json.dumps(content))


def test_youtube3d_is_scored_in_pixels(run: Callable[..., Result], tmp_path: Path) -> None:
    write_annotated(tmp_path / "set")
    data = ("--data", f"youtube3d={tmp_path / 'set'}", "--split", "val")
    done = run("s2hand", *data, "--json", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert (plain["split"], plain["hands"], plain["n"]) == ("val", 2, 1)
    kept = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert kept["samples"] == ["v/1#0", "v/2#1"]
    for name, metric in plain["metrics"].items():
        assert metric["value"] == pytest.approx(np.mean(kept[name]))
        assert metric["unit"] == "px"
    lines = run("s2hand", *data).stdout.splitlines()
    assert "2 annotated hands of the split 'val'" in lines
    assert any(line.startswith("pa_mpvpe_px") for line in lines)
    missing = run("s2hand", *data[:2])
    assert "youtube_test.json: annotation file is missing" in str(missing.exception)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("s2hand", "--data", "youtube3d=a", "--submission", "b.zip"), "there is no server for it"),
        (("--data", "youtube3d=a", "--predictions", "b.json"), "scores a CHECKPOINT"),
        (("s2hand", "--data", "ho3d=a", "--split", "val"), "--split: only youtube3d has several"),
    ],
)
def test_pixels_are_scored_of_a_model_alone(
    run: Callable[..., Result], words: tuple[str, ...], told: str
) -> None:
    assert told in str(run(*words).exception)
