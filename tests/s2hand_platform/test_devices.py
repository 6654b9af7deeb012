from pathlib import Path

import pytest

from s2hand_platform import devices
from s2hand_platform.devices import choose_device_type


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a GPU."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()  # is there without a GPU too
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "driver")
    monkeypatch.setattr(devices, "_DEVICES", tmp_path / "dev")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@pytest.mark.parametrize("place", ["driver/0000:01:00.0", "dev/nvidia0"])
def test_auto_is_cuda_where_the_driver_shows_a_gpu(machine: Path, place: str) -> None:
    assert choose_device_type("auto") == "cpu"
    (machine / "driver").mkdir()
    assert choose_device_type("auto") == "cpu"
    (machine / place).touch()
    assert choose_device_type("auto") == "cuda"
    assert choose_device_type("cpu") == "cpu"


@pytest.mark.parametrize(("visible", "chosen"), [("", "cpu"), ("-1", "cpu"), ("0", "cuda")])
def test_hidden_gpus_are_not_there(
    machine: Path, monkeypatch: pytest.MonkeyPatch, visible: str, chosen: str
) -> None:
    (machine / "dev" / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert choose_device_type("auto") == chosen


def test_what_is_asked_for_is_taken() -> None:
    assert choose_device_type("cuda") == "cuda"
