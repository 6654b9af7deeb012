"""Random generators by name, so that no part of the benchmark depends on the order of the work."""

from zlib import crc32

import numpy as np


def named_generator(seed: int, *path: str | int) -> np.random.Generator:
    """Give the random generator of one named thing, such as ("freihand", "train", 17).

    Equal names give equal numbers whatever was drawn elsewhere; different names are independent.
    """
    words = [crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
