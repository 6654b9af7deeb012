"""What counts as measured: the one rule that planning and tables share."""

import pandas as pd


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
    chosen = attempts[counts].sort_values("attempt")
    return chosen.drop_duplicates("trial_id", keep="last").sort_index()
