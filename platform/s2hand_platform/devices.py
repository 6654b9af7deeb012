"""Which type of device trials train on: part of their identity, so it is chosen when planning."""

import logging
import os
from pathlib import Path
from typing import Literal

DeviceType = Literal["cpu", "cuda"]

_DRIVER = Path("/proc/driver/nvidia/gpus")
_DEVICES = Path("/dev")
_NO_DEVICE = {"", "-1", "NoDevFiles"}
_HIDING = "CUDA_VISIBLE_DEVICES"

_LOG = logging.getLogger(__name__)


def choose_device_type(asked: Literal["auto", "cpu", "cuda"] = "auto") -> DeviceType:
    """Take what is asked for; ``auto`` is CUDA where this machine has an NVIDIA GPU.

    The driver's files are looked at, and ``CUDA_VISIBLE_DEVICES``: planning needs no torch.
    """
    if asked != "auto":
        chosen, source = asked, "--device"
    elif os.environ.get(_HIDING, "all").strip() in _NO_DEVICE:
        chosen, source = "cpu", _HIDING
    else:
        has_driver = _DRIVER.is_dir() and any(_DRIVER.iterdir())
        has_device = any(_DEVICES.glob("nvidia[0-9]*"))
        chosen, source = ("cuda" if has_driver or has_device else "cpu"), "this machine"
    _LOG.info("device: %s (%s)", chosen, source)
    return chosen
