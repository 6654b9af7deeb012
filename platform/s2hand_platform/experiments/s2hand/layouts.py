"""Layouts of detections that a user may name; nothing slow is imported here."""

from pathlib import Path
from typing import Literal

DetectionLayout = Literal["hands", "detect", "openpose", "wholebody", "parquet"]
"""Those of ``s2hand.keypoints.names.LayoutName``, and the platform's own."""

SUFFIX = ".parquet"


def layout_of(path: Path, usual: DetectionLayout) -> DetectionLayout:
    """Return the layout that a file's name tells, or else the usual one."""
    return "parquet" if path.suffix.lower() == SUFFIX else usual
