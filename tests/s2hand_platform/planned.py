"""Plans of the tiny experiment, made without a recipe and without a look into a store."""

from typing import Any

from tiny_experiment import TinyExperiment

from s2hand_platform.planning.plan import Member, Plan, PlannedTrial, Status
from s2hand_platform.planning.planner import Subjects


def planned(
    experiment: TinyExperiment,
    overrides: dict[str, Any] | None = None,
    *,
    seed: int = 7,
    status: Status = "missing",
    device_type: str = "cpu",
    row: str = "row",
) -> PlannedTrial:
    """Plan one trial."""
    config = experiment.build_config(overrides or {})
    subject = Subjects(experiment, device_type).of(config, experiment.dump_config(config))
    identity, trial_id = subject.identify(seed)
    return PlannedTrial(
        trial_id=trial_id,
        identity=identity,
        config=subject.config,
        code=subject.code,
        evaluation=subject.evaluation,
        members=(Member(kind="row", group="tiny", name=row, label=row),),
        status=status,
        reason="",
        estimated_hours=None,
    )


def plan_of(*trials: PlannedTrial) -> Plan:
    """Join trials to a plan."""
    return Plan(trials=trials)
