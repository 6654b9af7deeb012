from pathlib import Path

import numpy as np
import pytest

from s2hand.data.sample import FrameTable
from s2hand.hand.fingertips import FINGERTIP_SETS, Fingertips
from s2hand.metrics.evaluator import evaluator_id
from s2hand_platform.experiments import describe_evaluator


def id_of(fingertips: Fingertips, *, with_vertices: bool) -> str:
    table = FrameTable(
        sample_ids=("a",),
        image_paths=(Path("a.jpg"),),
        intrinsics_px=np.zeros((1, 3, 3), np.float32),
        sequences=("",),
        frames=np.zeros(1, np.int64),
        detected_keypoints_px=np.zeros((1, 21, 2), np.float32),
        detection_confidence=np.zeros((1, 21), np.float32),
        crop_box_px=np.zeros((1, 4), np.float32),
        joints=np.zeros((1, 21, 3), np.float32),
        vertices=np.zeros((1, 778, 3), np.float32) if with_vertices else None,
        fingertips=fingertips,
    )
    return evaluator_id(table)


@pytest.mark.parametrize("with_vertices", [True, False])
@pytest.mark.parametrize("fingertips", [*FINGERTIP_SETS.values(), (1, 2, 3, 4, 5)])
def test_every_token_of_an_id_has_words(fingertips: Fingertips, with_vertices: bool) -> None:
    name = id_of(fingertips, with_vertices=with_vertices)
    words = describe_evaluator(name)
    assert len(words) == len(name.split())
    assert not set(words) & set(name.split())


def test_fingertips_are_those_of_the_sets() -> None:
    words = describe_evaluator(id_of(FINGERTIP_SETS["ho3d"], with_vertices=False))
    predicted, true = (", ".join(map(str, FINGERTIP_SETS[name])) for name in ("s2hand", "ho3d"))
    assert (
        f"fingertips: of the prediction the method's vertices {predicted}; of the truth HO-3D's "
        f"vertices {true}"
    ) in words


def test_what_splits_have_in_common_is_said_once() -> None:
    one, other = (
        id_of(FINGERTIP_SETS["ho3d"], with_vertices=with_vertices)
        for with_vertices in (True, False)
    )
    words = describe_evaluator(f"{one}+{other}")
    assert [each for each in words if each.startswith("some splits: ")] == [
        f"some splits: {tips}"
        for tips in (describe_evaluator(one)[-2], describe_evaluator(other)[-2])
    ]
    assert len(words) == len(describe_evaluator(one)) + 1


def test_an_experiment_without_words_shows_those_of_the_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert describe_evaluator("s2hand/9 joints=mano") == ("s2hand/9", "joints=mano")
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    assert describe_evaluator("s2hand/2 root=wrist") == ("s2hand/2", "root=wrist")


def test_predictions_that_do_not_tell_their_fingertips_have_words() -> None:
    words = describe_evaluator("s2hand/2 tips=given|ho3d")
    true = ", ".join(map(str, FINGERTIP_SETS["ho3d"]))
    assert words[1] == (
        "fingertips: of the prediction those of the predicting file, which does not tell them; of "
        f"the truth HO-3D's vertices {true}"
    )
