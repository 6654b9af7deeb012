"""The commands that show starting weights and make them, and what becomes of them in identities."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tiny_weights import starting_from, write_weights
from typer.testing import CliRunner, Result

import s2hand.pretraining.build
from s2hand import starting_weights
from s2hand.config import DataConfig, ModelConfig, S2HandConfig
from s2hand.errors import ConfigurationError
from s2hand.starting_weights import StartingWeights
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import S2HandExperiment
from s2hand_platform.identity import config_hash

EXPERIMENT = S2HandExperiment()
CONFIG = S2HandConfig(
    model=ModelConfig(
        encoder="convnet", pretrained="none", image_size_px=32, keypoint_stacks=1,
        keypoint_channels=8, hand_model="embedded",
    )
)  # fmt: skip


@pytest.fixture(autouse=True)
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Look for the project's own weights in an empty folder."""
    folder = tmp_path / "bundled"
    monkeypatch.setattr(
        starting_weights,
        "weights_path",
        lambda name, where="": Path(where or folder) / f"{name}.safetensors",
    )
    return folder


def weights(*arguments: str) -> Result:
    return CliRunner().invoke(command_groups()["weights"], arguments, env={"COLUMNS": "200"})


def test_weights_are_listed_with_their_scores(bundled: Path) -> None:
    write_weights(bundled, "hands", CONFIG)
    shown = weights()
    assert shown.exit_code == 0, shown.output
    hands, s2hand = (
        next(line for line in shown.output.splitlines() if line.split()[:1] == [name])
        for name in ("hands", "s2hand")
    )
    assert "encoder, head.trunk" in hands
    assert "24" in hands
    assert "0.5" in hands
    assert "aligned joints, cm 1.25" in hands
    assert "none here" in s2hand


def test_a_name_shows_the_card(bundled: Path) -> None:
    made = write_weights(bundled, "s2hand", replace(CONFIG, data=DataConfig(max_frames=800)))
    shown = weights("s2hand")
    assert shown.exit_code == 0, shown.output
    lines = dict(line.split(maxsplit=1) for line in shown.output.splitlines())
    assert lines["sha256"] == made.sha256
    assert lines["trained"] == "on   noise, namespace pretraining, the first 800 of 2,400 pictures"
    assert lines["measured"] == "on  noise, namespace pretraining, 2,400 pictures"
    assert lines["training"] == "24 pictures in 3 steps, 0.50 h"
    assert "image_size_px 32" in lines["fits"]
    assert (lines["0"], lines["1"]) == ("loss 0.5", "loss 0.25")
    content = json.loads(weights("s2hand", "--json").output)
    assert content == {"sha256": made.sha256, **json.loads(json.dumps(asdict(made.card)))}
    missing = weights("hands")
    assert isinstance(missing.exception, ConfigurationError)
    assert "make it with `make starting-weights`" in str(missing.exception)


def test_weights_are_made_into_the_workspace_and_compared(
    tmp_path: Path, bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    asked = {}

    def build(name: str, places: s2hand.pretraining.build.Places, **options) -> StartingWeights:
        asked.update(name=name, places=places, options=options)
        options["report"](7, {"loss": 0.5})
        made = write_weights(places.weights_dir, "hands", CONFIG)
        return replace(made, card=replace(made.card, scores={"validation/keypoint_px": 17.5}))

    monkeypatch.setattr(s2hand.pretraining.build, "build_weights", build)
    arguments = ("build", "hands", "--workspace", str(workspace), "--device", "cpu")
    missing = weights(*arguments)
    assert isinstance(missing.exception, SpecError)
    assert "make it with: s2hand data make synthetic --size pretraining" in str(missing.exception)
    pretraining = workspace / "data" / "synthetic-pretraining"
    validation = workspace / "data" / "synthetic-compact" / "validation"
    for folder in (pretraining, validation):
        folder.mkdir(parents=True)
    before = write_weights(bundled, "hands", CONFIG)
    card = replace(before.card, scores={"validation/keypoint_px": 18.25})
    state = starting_weights.read_weights(before.path)
    starting_weights.save_weights(state, card, before.path)

    done = weights(*arguments)
    assert done.exit_code == 0, done.output
    places = asked["places"]
    assert asked["name"] == "hands"
    assert (places.data_root, places.validation_root) == (pretraining, validation)
    assert places.weights_dir.is_relative_to(workspace)
    assert places.work_dir.is_relative_to(workspace)
    assert asked["options"]["device"] == "cpu"
    assert "7 loss 0.5" in done.output
    (compared,) = (line for line in done.output.splitlines() if "keypoints, px" in line)
    assert compared.split()[-2:] == ["17.5", "18.25"]


def test_starting_weights_enter_a_trial_s_code_and_not_its_configuration(tmp_path: Path) -> None:
    data = DataConfig(root=str(tmp_path))
    plain = replace(CONFIG, data=data)
    assert "starting weights" not in " ".join(EXPERIMENT.training_code(plain, "cpu"))
    dumps = []
    for seed in (1, 2):
        folder = tmp_path / f"weights{seed}"
        made = write_weights(folder, "hands", CONFIG, seed=seed)
        config = starting_from(plain, "hands", folder)
        code = EXPERIMENT.training_code(config, "cpu")
        assert code["starting weights 'hands'"] == made.sha256
        assert code.items() > EXPERIMENT.training_code(plain, "cpu").items()
        assert "starting weights" not in " ".join(EXPERIMENT.evaluation_code(config, "cpu"))
        dumps.append(EXPERIMENT.dump_config(config))
    assert config_hash(EXPERIMENT, dumps[0]) == config_hash(EXPERIMENT, dumps[1])
    assert config_hash(EXPERIMENT, dumps[0]) != config_hash(
        EXPERIMENT, EXPERIMENT.dump_config(plain)
    )
    with pytest.raises(
        ConfigurationError, match=r"nowhere/hands\.safetensors, where there is nothing"
    ):
        EXPERIMENT.training_code(starting_from(plain, "hands", tmp_path / "nowhere"), "cpu")


def test_the_folder_of_weights_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"preset": "cpu", "model": {"pretrained": "hands", "weights_dir": "mine"}}
    assert EXPERIMENT.build_config(named).model.weights_dir == str(tmp_path / "mine")
    assert EXPERIMENT.build_config({"preset": "cpu"}).model.weights_dir == ""
