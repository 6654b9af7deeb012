"""What counts as measured: the one rule that planning and tables share."""

from collections.abc import Collection
from typing import Literal

import pandas as pd

WhyNot = Literal["never run", "never finished", "evaluated otherwise", "set aside"]
"""Why no attempt at a trial counts."""


def measured_attempts(attempts: pd.DataFrame, evaluation: str | None) -> pd.DataFrame:
    """Choose the attempts that count: of each trial the latest finished one of this evaluation.

    A later attempt may have evaluated alone what an earlier one trained.

    Args:
        attempts: any attempts at any trials, as ``ResultStore.attempts`` gives them.
        evaluation: fingerprint of the evaluation; with None, which stands for one that cannot be
            known, nothing counts.

    Returns:
        The lines of those attempts, one per trial, in the order of ``attempts``.
    """
    counts = (attempts["status"] == "finished") & (
        attempts["evaluation_fingerprint"].eq(evaluation) if evaluation is not None else False
    )
    chosen = attempts[counts].sort_values("attempt", kind="stable")
    return chosen.drop_duplicates("trial_id", keep="last").sort_index()


def why_not_measured(
    trial_id: str, attempts: pd.DataFrame, set_aside: Collection[str] = ()
) -> WhyNot:
    """Say why a trial for which ``measured_attempts`` found nothing is not measured.

    Args:
        trial_id: the trial.
        attempts: as for ``measured_attempts``.
        set_aside: the trials of which a file was set aside (``ResultStore.set_aside_trials``).
    """
    own = attempts[attempts["trial_id"] == trial_id]
    if (own["status"] == "finished").any():
        return "evaluated otherwise"
    if trial_id in set_aside:
        return "set aside"
    return "never finished" if len(own) else "never run"
