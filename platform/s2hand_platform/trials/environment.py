"""What an attempt computes with, noted in its folder for whoever has to record a lost attempt."""

import json
from dataclasses import asdict
from pathlib import Path

from s2hand.files import whole_file
from s2hand_platform.store.records import Environment

_FILE = "environment.json"
_UNKNOWN = Environment(framework="", device="", precision="", threads=0)


def describe_environment(device: str) -> Environment:
    """Describe what this process computes with."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    return Environment(
        framework=f"torch {torch.__version__.partition('+')[0]}",
        device=f"cuda {name}" if name else device,
        precision=f"float32 matmul {torch.get_float32_matmul_precision()}",
        threads=torch.get_num_threads(),
    )


def note_environment(checkpoint_dir: Path, attempt: int, environment: Environment) -> None:
    """Write down what an attempt computes with."""
    note = {"attempt": attempt, "environment": asdict(environment)}
    with whole_file(checkpoint_dir / _FILE) as file:
        file.write(json.dumps(note).encode())


def noted_environment(checkpoint_dir: Path, attempt: int) -> Environment:
    """Read what an attempt computed with; unknown where it did not come so far."""
    try:
        note = json.loads((checkpoint_dir / _FILE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return _UNKNOWN
    return Environment(**note["environment"]) if note["attempt"] == attempt else _UNKNOWN
