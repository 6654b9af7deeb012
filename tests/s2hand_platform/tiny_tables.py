"""Tables of the tiny experiment, made without a recipe, and its code and data as they change."""

from typing import Any

from tiny_experiment import TinyExperiment

from s2hand_platform.experiments.protocol import ThresholdCurve
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.plan import Plan
from s2hand_platform.spec.schema import ColumnSpec, RowSpec, TableSpec
from s2hand_platform.store.table_plan import TablePlan

ERROR = ColumnSpec(label="error_cm", metric="test/error")
PCK = ThresholdCurve(
    figure="PCK", says="points", area_of="score", unit="mm", thresholds=[0, 5], shares=[0.25, 1]
)
FULL = RowSpec(id="full", label="full")
STRAIGHT = RowSpec(id="straight", label="straight", overrides={"curvature": False})


def table(name: str = "t", *rows: RowSpec, **base: Any) -> TableSpec:
    return TableSpec(
        name=name,
        title="T",
        dataset="curve",
        base=base,
        rows=rows or (FULL, STRAIGHT),
        columns=(ERROR,),
    )


def persisted(spec: TableSpec, plan: Plan, experiment: TinyExperiment) -> TablePlan:
    record = experiment.describe_data(experiment.build_config(dict(spec.base)))
    return persisted_table(
        spec,
        plan,
        experiment=experiment.name,
        metrics=experiment.metrics,
        data={row.id: record for row in spec.rows},
    )


class Changed(TinyExperiment):
    """The tiny experiment with another module, another metric, other data."""

    def __init__(self, **digests: str) -> None:
        self._digests = digests

    def training_code(self, config: Any, device_type: str) -> dict[str, str]:
        code = super().training_code(config, device_type)
        return {**code, "shared": "1", **_only(self._digests, "training")}

    def evaluation_code(self, config: Any, device_type: str) -> dict[str, str]:
        code = super().evaluation_code(config, device_type)
        return {**code, "shared": "1", **_only(self._digests, "evaluation")}

    def fingerprint_evaluation_data(self, config: Any) -> str | None:
        return self._digests.get("data", super().fingerprint_evaluation_data(config))


def _only(digests: dict[str, str], start: str) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if name.startswith(start)}
