"""Random generators by name, so that no part of the benchmark depends on the order of the work."""

from zlib import crc32

import numpy as np

from s2hand.synthetic.namespaces import Namespace


def named_generator(seed: int, namespace: Namespace, kind: str, index: int) -> np.random.Generator:
    """Give the random generator of one named thing, such as (0, "training", "person", 17).

    Equal names give equal numbers whatever was drawn elsewhere; different names are independent.
    The seed, which may be of any length, comes last: none makes two namespaces' generators equal.
    """
    words = [crc32(namespace.encode()), crc32(kind.encode()), index, seed]
    return np.random.default_rng(np.random.SeedSequence(words))
