import pytest

from s2hand.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    HandModelError,
    NonFiniteLossError,
    SourceError,
)
from s2hand_platform.errors import FailureCause
from s2hand_platform.experiments.s2hand.experiment import S2HandExperiment
from s2hand_platform.trials.failure import failure_of


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NonFiniteLossError("photometric", float("nan"), ["00000001"]), "non_finite"),
        (DataError("training/rgb/00000001.jpg: truncated"), "data"),
        (HandModelError("MANO_RIGHT.pkl: not MANO's layout"), "data"),
        (
            ConfigurationError("optimiser.world_size=2 must be the number of workers"),
            "configuration",
        ),
        (CheckpointError("model.safetensors belongs to another configuration"), "configuration"),
        (SourceError("s2hand.losses.photometric has no source"), "code"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_models_errors_have_causes_that_are_not_tried_again(
    error: Exception, cause: FailureCause
) -> None:
    failure = failure_of(error, S2HandExperiment())
    assert (failure.cause, failure.may_pass) == (cause, False)


def test_errors_of_others_are_left_to_the_platform() -> None:
    assert S2HandExperiment().cause(OSError("disk")) is None
