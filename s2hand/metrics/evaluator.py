"""The rules by which a set is measured, as an id that stands beside every number."""

from s2hand.data.sample import FrameTable
from s2hand.hand.fingertips import FINGERTIP_SETS, S2HAND_FINGERTIPS, Fingertips

_RULES = (
    "s2hand/2 joints=openpose root=wrist pa=similarity+reflection,joints|vertices "
    "auc=0:50mm:100 f=strict acc=wrist-relative,per-sequence quat=n3,i1,16 sta=wrist,middle_1"
)
"""Changes whenever a metric's value could, beside what the table's truth decides."""


def evaluator_id(table: FrameTable, predicted_tips: Fingertips | None = S2HAND_FINGERTIPS) -> str:
    """Name the rules by which ``evaluate`` measures a table.

    ``tips`` are the fingertip sets of the prediction and of the truth that all metrics of joints
    compare, ``dataset_tips`` that of the truth's file, where it is another: there the metrics
    ``…_dataset_tips…`` compare the prediction with the file as it is.

    Args:
        table: What is measured on.
        predicted_tips: Vertices at which the predicted fingertips lie; None: not known, ``given``.
    """
    own = next((name for name, tips in FINGERTIP_SETS.items() if tips == table.fingertips), "own")
    if predicted_tips is None:
        return f"{_RULES} tips=given|{own}"
    if table.joints is None or table.fingertips == S2HAND_FINGERTIPS:
        return f"{_RULES} tips=s2hand|s2hand"
    compared = own if table.vertices is None else "s2hand"
    return f"{_RULES} tips=s2hand|{compared} dataset_tips={own}"
