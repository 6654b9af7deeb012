"""Two rules of all files of detections: which image an entry is of, and what confidences mean."""

from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from s2hand.errors import DataError


def image_key(name: str) -> str:
    """Return what tells an image from the others: no folder, ending or leading zeros."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return stem.lstrip("0") or stem[:1]


def require_ones(path: Path, confidence: Float[np.ndarray, "..."]) -> None:
    """Refuse confidences of another scale.

    OpenPose writes confidences above 1 where a peak of its maps exceeds 1. Such ones count as 1,
    and are counted; but they are exceptions.

    Args:
        path: The file, for errors.
        confidence: All that the file has.

    Raises:
        DataError: If most of those found are above 1.
    """
    above, found = int((confidence > 1).sum()), int((confidence > 0).sum())
    if 2 * above > found:
        raise DataError(
            f"{path}: confidences must go from 0 to 1, got {above} of {found} above 1, the largest "
            f"{confidence.max():g}; divide them by what stands for certainty (100 in percent)"
        )
