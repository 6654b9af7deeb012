"""The worker has what the driver planned with: device, code and data, checked where it trains."""

from typing import Any

from s2hand_platform.errors import ExecutionError
from s2hand_platform.experiments.protocol import Code, Experiment, TrialContext
from s2hand_platform.identity import (
    EVALUATION_DATA,
    CodeFingerprint,
    check_same_code,
    evaluation_contents,
)
from s2hand_platform.planning.plan import PlannedTrial


def verify(trial: PlannedTrial, experiment: Experiment, config: Any, context: TrialContext) -> None:
    """Check that this process would train and evaluate what was planned.

    What could not be fingerprinted when it was planned is not checked.

    Raises:
        ExecutionError: naming what differs, as it was planned and as it is here.
    """
    device_type = trial.identity.device_type
    verify_device(device_type, context.device)
    if trial.identity.data is not None:
        here = experiment.fingerprint_training_data(config)
        _verify_data("training", trial.identity.data, here)
    if trial.code is not None:
        code = _readable(experiment.training_code(config, device_type), experiment)
        check_same_code(trial.code, CodeFingerprint.of(code))
    if trial.evaluation is not None:
        data = experiment.fingerprint_evaluation_data(config)
        planned = trial.evaluation.digests[EVALUATION_DATA]
        _verify_data("evaluation", planned, data)
        code = _readable(experiment.evaluation_code(config, device_type), experiment)
        contents = evaluation_contents(experiment, trial.config, planned, code)
        check_same_code(trial.evaluation, CodeFingerprint.of(contents))


def _readable(code: Code | None, experiment: Experiment) -> Code:
    if code is None:
        raise ExecutionError(
            f"the source of '{experiment.name}' must be readable where its trials run; "
            "give the workers the source files, not compiled modules alone",
            "code",
        )
    return code


def verify_device(planned: str, device: str) -> None:
    """Check that a torch device is of the type that was planned.

    Raises:
        ExecutionError: naming both.
    """
    if planned != device.partition(":")[0]:
        remedy = (
            "run it where torch finds a GPU, or plan it for cpu"
            if planned == "cuda"
            else "give its workers no GPU, or plan it for cuda"
        )
        raise ExecutionError(
            f"the trial was planned for {planned}, but would run on '{device}' here; {remedy}"
        )


def _verify_data(what: str, planned: str, here: str | None) -> None:
    if planned != here:
        raise ExecutionError(
            f"the {what} data must be what the trial was planned with (fingerprint "
            f"{planned[:12]}), but this worker reads other data "
            f"({here[:12] if here else 'that cannot be fingerprinted'}); "
            "what the configuration names must have the same content on every machine",
            "data",
        )
