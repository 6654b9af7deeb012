"""Checkpoints: whole or not there, and never executed."""

import pickle

import pytest
import torch

from s2hand.errors import CheckpointError
from s2hand.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def make_checkpoint(value=1.0):
    return Checkpoint(
        stage_id="a" * 64,
        identity={"seed": 0, "model": {"encoder": "convnet"}},
        epochs_done=3,
        training_s=1.5,
        model={"weight": torch.full((2,), value)},
        optimiser={"state": {}, "param_groups": [{"lr": 0.1}]},
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save_checkpoint(make_checkpoint(), tmp_path / "folder" / "latest.pt")
    loaded = load_checkpoint(tmp_path / "folder" / "latest.pt")
    assert torch.equal(loaded.model["weight"], torch.ones(2))
    assert (loaded.identity, loaded.epochs_done, loaded.training_s) == (
        make_checkpoint().identity, 3, 1.5,
    )  # fmt: skip
    assert loaded.optimiser["param_groups"] == [{"lr": 0.1}]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "latest.pt"
    save_checkpoint(make_checkpoint(), path)

    def no_space(_content, file):
        file.write(b"half a check")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", no_space)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(make_checkpoint(2.0), path)
    assert load_checkpoint(path).model["weight"][0] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["latest.pt"]


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.pt: no checkpoint there"):
        load_checkpoint(tmp_path / "absent.pt")


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], torch.ones(3)])
def test_a_foreign_file_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(CheckpointError, match=r"foreign\.pt: expected a checkpoint of format"):
        load_checkpoint(tmp_path / "foreign.pt")


def test_a_file_with_code_is_refused_without_running_it(tmp_path, capsys):
    torch.save({"format": Malicious()}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad\.pt: not a whole checkpoint"):
        load_checkpoint(tmp_path / "bad.pt")
    (tmp_path / "worse.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(CheckpointError, match=r"worse\.pt") as refused:
        load_checkpoint(tmp_path / "worse.pt")
    assert "weights_only" not in str(refused.value)
    assert "executed" not in capsys.readouterr().out


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "whole.pt"
    save_checkpoint(make_checkpoint(), path)
    content = path.read_bytes()
    for size in range(0, len(content), max(1, len(content) // 12)):
        (tmp_path / "cut.pt").write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"cut\.pt"):
            load_checkpoint(tmp_path / "cut.pt")
