"""How consistent a subject's shape stays over a sequence."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def sequence_deviation(
    values: Float[np.ndarray, "n components"], sequences: Sequence[str]
) -> dict[str, float]:
    """Return, per sequence, the standard deviation over frames, mean over components.

    The paper prints such a value for shape and texture without a formula; this is our reading.

    Convention:
        Population standard deviation (division by the number of frames). Sequences of one frame
        and sequence ``""`` (image collections) are left out.

    References:
        Paper §4.2 and Table 9, "Shape S.D.".
    """
    names = np.asarray(sequences)
    deviations = {}
    for sequence in sorted(set(sequences) - {""}):
        frames = np.asarray(values, np.float64)[names == sequence]
        if len(frames) > 1:
            deviations[sequence] = float(frames.std(axis=0).mean())
    return deviations
