"""Which type of device trials train on: part of their identity, so it is chosen when planning."""

import os
from pathlib import Path
from typing import Literal

DeviceType = Literal["cpu", "cuda"]

_DRIVER = Path("/proc/driver/nvidia/gpus")
_DEVICES = Path("/dev")
_NO_DEVICE = {"", "-1", "NoDevFiles"}


def choose_device_type(asked: Literal["auto", "cpu", "cuda"] = "auto") -> DeviceType:
    """Take what is asked for; ``auto`` is CUDA where this machine has an NVIDIA GPU.

    The driver's files are looked at, and ``CUDA_VISIBLE_DEVICES``: planning needs no torch.
    """
    if asked != "auto":
        return asked
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in _NO_DEVICE:
        return "cpu"
    has_driver = _DRIVER.is_dir() and any(_DRIVER.iterdir())
    has_device = any(_DEVICES.glob("nvidia[0-9]*"))
    return "cuda" if has_driver or has_device else "cpu"
