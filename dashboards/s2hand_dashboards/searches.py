"""What a page shows of a search, read from the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import SearchPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedPoint:
    """A point of a search and what became of it."""

    trial_id: str
    point: Mapping[str, Any]
    """Dotted configuration path → value."""
    status: str
    """``finished``, ``stopped_early``, ``failed`` or ``not run``."""
    value: float | None
    """The search's metric: of the evaluation, or else as reported last; None where there is
    none."""
    reason: str = ""
    """Why it failed or was stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchContents:
    """A search, with its points from the best to those without a value."""

    plan: SearchPlan
    points: tuple[TriedPoint, ...]

    @property
    def best(self) -> TriedPoint | None:
        """The best finished point, or None."""
        return next((each for each in self.points if each.status == "finished"), None)

    @property
    def is_grid(self) -> bool:
        """Whether its points are all pairs of two numbers' values."""
        axes = [{point.point[path] for point in self.points} for path in self.plan.axes]
        are_numbers = all(isinstance(value, int | float) for axis in axes for value in axis)
        return (
            len(axes) == 2 and are_numbers and len(self.points) == len(axes[0]) * len(axes[1]) > 1
        )


def read_search(plan: SearchPlan, store: ResultStore) -> SearchContents:
    """Gather what the page of a search shows."""
    attempts = store.attempts(
        trial_ids=set(plan.points), columns=("trial_id", "attempt", "status", "reason")
    )
    finished = attempts[attempts["status"] == "finished"]
    chosen = pd.concat([attempts, finished]).drop_duplicates("trial_id", keep="last")
    measured = _by_trial(_named(store.metrics(chosen), plan.metric))
    reported = store.curves(set(plan.points))
    curves = _by_trial(reported[reported["metric"] == plan.metric].sort_values("epoch"))
    states = {line.trial_id: (line.status, line.reason or "") for line in chosen.itertuples()}
    points = []
    for trial_id, point in plan.points.items():
        status, reason = states.get(trial_id, ("not run", ""))
        points.append(
            TriedPoint(
                trial_id=trial_id,
                point=point,
                status=status,
                value=measured.get(trial_id, curves.get(trial_id)),
                reason=reason,
            )
        )
    sign = 1 if plan.mode == "min" else -1
    points.sort(key=lambda each: (each.value is None, sign * (each.value or 0.0)))
    return SearchContents(plan=plan, points=tuple(points))


def _named(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    return metrics[metrics["split"] + "/" + metrics["metric"] == metric]


def _by_trial(lines: pd.DataFrame) -> dict[str, float]:
    """Return the last finite value of each trial."""
    values = {line.trial_id: float(line.value) for line in lines.itertuples()}
    return {name: value for name, value in values.items() if abs(value) < float("inf")}
