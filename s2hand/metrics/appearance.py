"""How consistent a subject's shape and texture stay over a sequence (Table 9)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def texture_sd(texture: Float[np.ndarray, "n points 3"], sequences: Sequence[str]) -> float | None:
    """Return the texture's standard deviation over a sequence, mean over sequences.

    Args:
        texture: Colours per vertex or face as the network gives them, C of Eq. 21.
        sequences: Each frame's sequence.

    Returns:
        The mean of :func:`sequence_deviation`, None where no sequence has two frames.

    References:
        Paper §4.2 and Table 9, "Texture S.D.".
    """
    return _mean_over_sequences(texture.reshape(len(texture), -1), sequences)


def shape_sd(betas: Float[np.ndarray, "n 10"], sequences: Sequence[str]) -> float | None:
    """Return the shape coefficients' standard deviation over a sequence, mean over sequences.

    Returns:
        The mean of :func:`sequence_deviation`, None where no sequence has two frames.

    References:
        Paper §4.2 and Table 9, "Shape S.D.".
    """
    return _mean_over_sequences(betas, sequences)


def sequence_deviation(
    values: Float[np.ndarray, "n components"], sequences: Sequence[str]
) -> dict[str, float]:
    """Return, per sequence, the standard deviation over frames, mean over components.

    The paper prints such a value for shape and texture without a formula; this is our reading.

    Convention:
        Population standard deviation (division by the number of frames). Sequences of one frame
        and sequence ``""`` (image collections) are left out.

    References:
        Paper §4.2 and Table 9.
    """
    names = np.asarray(sequences)
    deviations = {}
    for sequence in sorted(set(sequences) - {""}):
        frames = values[names == sequence].astype(np.float64)
        if len(frames) > 1:
            deviations[sequence] = float(frames.std(axis=0).mean())
    return deviations


def _mean_over_sequences(
    values: Float[np.ndarray, "n components"], sequences: Sequence[str]
) -> float | None:
    deviations = sequence_deviation(values, sequences)
    return float(np.mean(list(deviations.values()))) if deviations else None
