"""What the pictures of a namespace are made of."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.model_data import HandModelData
from s2hand.synthetic import NamespaceSize
from s2hand.synthetic.motion import sample_motion, sample_postures
from s2hand.synthetic.namespaces import NAMESPACES, Namespace, posture_examples
from s2hand.synthetic.stage import Stage, build_stage

HAND = embedded_hand()
SIZE = NamespaceSize(images=1, subjects=2, backgrounds=2, objects=2)


@pytest.fixture(scope="module")
def stages() -> dict[Namespace, Stage]:
    return {name: build_stage(name, SIZE, 0, 32) for name in NAMESPACES}


def test_no_two_namespaces_share_a_subject_a_background_or_a_thing(
    stages: dict[Namespace, Stage],
) -> None:
    def kinds(stage: Stage) -> dict[str, set[bytes]]:
        def content(arrays: Iterable[np.ndarray]) -> set[bytes]:
            return {array.tobytes() for array in arrays}

        return {
            "betas": content(person.betas for person in stage.people),
            "skin": content(person.texels for person in stage.people),
            "background": content(stage.backgrounds),
            "thing": content(thing.texels for thing in stage.things),
        }

    for first, second in combinations(stages.values(), 2):
        for kind, own in kinds(first).items():
            assert len(own) == 2, f"{first.namespace} repeats a {kind}"
            assert not own & kinds(second)[kind], (first.namespace, second.namespace, kind)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_examples_of_other_namespaces_do_not_matter(namespace: Namespace) -> None:
    own = posture_examples(HAND, namespace)

    def drawn(hand: HandModelData) -> tuple[np.ndarray, np.ndarray]:
        postures = sample_postures(hand, own, 300, np.random.default_rng(0))
        motion = sample_motion(hand, own, np.arange(0, 4, 0.1), np.random.default_rng(1))
        return postures, motion.rotations

    others, itself = np.zeros_like(HAND.hands_coeffs), HAND.hands_coeffs.copy()
    others[own], itself[own] = HAND.hands_coeffs[own], 0
    for first, second in zip(drawn(HAND), drawn(replace(HAND, hands_coeffs=others)), strict=True):
        assert_array_equal(first, second)
    for first, second in zip(drawn(HAND), drawn(replace(HAND, hands_coeffs=itself)), strict=True):
        assert np.abs(first - second).max() > 0.1
