"""The words of evaluator ids, which ``s2hand.metrics.evaluator`` puts together."""

import re

_WORDS = {
    "s2hand/2": "the rules of this project's evaluation, version 2",
    "joints=openpose": "joints in OpenPose's order: the wrist, then four of each finger",
    "root=wrist": "errors without an alignment have the wrists superimposed",
    "pa=similarity+reflection,joints|vertices": (
        "aligned errors: moved, turned, scaled and, if that is nearer, mirrored onto the truth by "
        "least squares (Procrustes), joints and vertices each by themselves"
    ),
    "auc=0:50mm:100": "areas under PCK curves: 100 thresholds from 0 to 50 mm",
    "f=strict": "F-scores: near is strictly nearer than the threshold",
    "acc=wrist-relative,per-sequence": (
        "accelerations: of joints about the wrist, over consecutive frames of a sequence"
    ),
    "quat=n3,i1,16": "quaternions: detour of 16 joints' rotations over 3 consecutive frames",
    "sta=wrist,middle_1": (
        "scale-and-translation alignment: the wrist gets its true place, the bone from there to "
        "the middle finger's first joint its true length"
    ),
}
"""A token of the id → what it says."""
_TIPS = {
    "s2hand": "the method's vertices 744, 320, 443, 555, 672",
    "smplx": "smplx's vertices",
    "manopth": "manopth's vertices",
    "ho3d": "HO-3D's vertices 744, 333, 444, 555, 672",
    "own": "a set of the truth's own",
    "given": "those of the predicting file, which does not tell them",
}


def describe_evaluator(evaluator_id: str) -> tuple[str, ...]:
    """Say in words by which rules an evaluator measures; a token that has none stays as it is.

    Splits with other truth may have ids of their own, joined by ``+``: what they have in common
    is said once.
    """
    ids = [part.split() for part in re.split(r"\+(?=s2hand/)", evaluator_id)]
    tokens = list(dict.fromkeys(token for each in ids for token in each))
    return tuple(
        _word(token) if all(token in each for each in ids) else f"some splits: {_word(token)}"
        for token in tokens
    )


def _word(token: str) -> str:
    name, _, value = token.partition("=")
    if name == "tips" and "|" in value:
        predicted, true = (_TIPS.get(each, each) for each in value.split("|", 1))
        return f"fingertips: of the prediction {predicted}; of the truth {true}"
    if name == "dataset_tips":
        return (
            f"fingertips in the truth's file: {_TIPS.get(value, value)}; metrics that name the "
            "dataset's tips compare with them"
        )
    return _WORDS.get(token, token)
