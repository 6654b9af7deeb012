"""What a trial reports epoch by epoch: a file in its folder, which outlives a killed process."""

import json
from pathlib import Path

from s2hand_platform.experiments.protocol import Scalars

CURVE_FILE = "curve.jsonl"


def append_point(checkpoint_dir: Path, epoch: int, metrics: Scalars) -> None:
    """Add an epoch's report."""
    line = json.dumps({"epoch": epoch, "metrics": dict(metrics)})
    with (checkpoint_dir / CURVE_FILE).open("a") as file:
        file.write(f"\n{line}\n")  # behind a line that a killed process did not finish


def read_curve(checkpoint_dir: Path) -> list[tuple[int, dict[str, float]]]:
    """Return the last report of every epoch; an epoch that was trained again counts once."""
    path = checkpoint_dir / CURVE_FILE
    epochs: dict[int, dict[str, float]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            point = json.loads(line)
        except json.JSONDecodeError:
            continue  # empty, or cut off
        epochs[int(point["epoch"])] = point["metrics"]
    return sorted(epochs.items())
