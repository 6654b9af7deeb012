"""The rules by which a set is measured, as an id that stands beside every number, and in words."""

from collections.abc import Iterator, Mapping

from s2hand.data.sample import FrameTable
from s2hand.hand.fingertips import FINGERTIP_SETS, S2HAND_FINGERTIPS, Fingertips

_NAME = "s2hand/2"
_RULES: Mapping[str, str] = {
    "joints=openpose": "joints are in OpenPose's order",
    "root=wrist": "root-relative errors have the wrists superimposed",
    "pa=similarity+reflection,joints|vertices": "Procrustes alignment moves, turns, scales and may "
    "mirror, joints and vertices each by a fit of their own, as both official scripts do",
    "auc=0:50mm:100": "areas are those under a PCK curve of 100 thresholds from 0 to 50 mm",
    "f=strict": "F-scores count vertices nearer than the threshold",
    "acc=wrist-relative,per-sequence": "accelerations are about the wrist, within a sequence",
    "quat=n3,i1,16": "the quaternion metric looks at 3 successive frames and 16 joints",
    "sta=wrist,middle_1": "scale-and-translation alignment gives the wrist its place and the bone "
    "from the wrist to the middle finger's first joint its length, as HO-3D's script does",
}
"""Word of the id → what it says. One changes whenever a metric's value could, beside what the
table's truth decides."""
_TIPS = {"s2hand": "the method's", "given": "the predicting file's", "own": "the set's"}


def evaluator_id(table: FrameTable, predicted_tips: Fingertips | None = S2HAND_FINGERTIPS) -> str:
    """Name the rules by which ``evaluate`` measures a table.

    ``tips`` are the fingertip sets of the prediction and of the truth that all metrics of joints
    compare, ``dataset_tips`` that of the truth's file, where it is another: there the metrics
    ``…_dataset_tips…`` compare the prediction with the file as it is.

    Args:
        table: What is measured on.
        predicted_tips: Vertices at which the predicted fingertips lie; None: not known, ``given``.
    """
    rules = " ".join([_NAME, *_RULES])
    own = next((name for name, tips in FINGERTIP_SETS.items() if tips == table.fingertips), "own")
    if predicted_tips is None:
        return f"{rules} tips=given|{own}"
    if table.joints is None or table.fingertips == S2HAND_FINGERTIPS:
        return f"{rules} tips=s2hand|s2hand"
    compared = own if table.vertices is None else "s2hand"
    return f"{rules} tips=s2hand|{compared} dataset_tips={own}"


def in_words(evaluator: str) -> Iterator[str]:
    """Say word by word what an evaluator's id means; what is not known here is left as it is."""
    for word in evaluator.split()[1:]:
        key, _, value = word.partition("=")
        if key == "tips":
            predicted, _, true = value.partition("|")
            yield (
                f"fingertips of predictions are {_TIPS.get(predicted, predicted)} vertices, "
                f"those of the truth {_TIPS.get(true, true)}"
            )
        elif key == "dataset_tips":
            yield (
                f"metrics of dataset_tips compare with the fingertips of the truth's file ({value})"
            )
        else:
            yield _RULES.get(word, word)
