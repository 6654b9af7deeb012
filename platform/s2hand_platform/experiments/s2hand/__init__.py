"""The adapter: S2HAND and S2HAND(V) as an experiment that the platform can run.

This module is imported for the command line's help, so what needs the model comes when asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2hand_platform.experiments.s2hand.experiment import S2HandExperiment

__all__ = ["BASELINES", "COMMANDS", "EVALUATORS", "MEAN_POSE", "S2HandExperiment"]

COMMANDS = {
    "hand": "s2hand_platform.experiments.s2hand.commands:hand_app",
    "data": "s2hand_platform.experiments.s2hand.commands:data_app",
    "evaluate": "s2hand_platform.experiments.s2hand.commands:evaluate",
    "keypoints": "s2hand_platform.experiments.s2hand.keypoints:keypoints_app",
    "weights": "s2hand_platform.experiments.s2hand.weights:weights_app",
    "predict": "s2hand_platform.experiments.s2hand.predict:predict",
    "export": "s2hand_platform.experiments.s2hand.export:export",
}

EVALUATORS = "s2hand_platform.experiments.s2hand.evaluators:describe_evaluator"

MEAN_POSE = "constant mean pose"
BASELINES = {
    MEAN_POSE: (
        "the mean hand in the mean pose, the same for every picture: alignment takes out place, "
        "turn and size, so its aligned errors are what is left when nothing but 'this is a hand' "
        "is known"
    ),
}


def __getattr__(name: str) -> Any:
    if name == "S2HandExperiment":
        from s2hand_platform.experiments.s2hand.experiment import S2HandExperiment

        return S2HandExperiment
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
