"""The objective of a stage: the sums of the terms that act, and their weighted total."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.config import LossConfig
from s2hand.data.sample import Batch
from s2hand.loss_table import TERMS, outputs_of_losses
from s2hand.losses.formula import Formula, Given, RestHand, Settings
from s2hand.losses.loss_sum import divide
from s2hand.prediction import Prediction


def weighted_total(
    totals: Mapping[str, Float[Tensor, ""]],
    counts: Mapping[str, Float[Tensor, ""]],
    weights: Mapping[str, float],
) -> Float[Tensor, ""]:
    """Add the terms up: Σ weight · total / count, with the counts of the global batch."""
    terms = [weights[name] * divide(totals[name], counts[name]) for name in totals]
    return torch.stack(terms).sum()


class Objective:
    """The terms of one stage.

    Args:
        losses: settings of the formulas.
        weights: the terms that act, see :func:`s2hand.loss_table.active_weights`.
        rest_hand: what some terms compare with, on the device where losses are computed.
    """

    def __init__(
        self, losses: LossConfig, weights: Mapping[str, float], rest_hand: RestHand
    ) -> None:
        self.weights = dict(weights)
        self.outputs = outputs_of_losses(self.weights)
        """What the model has to compute for these terms."""
        self._terms = {name: _prepare(name, losses, rest_hand) for name in self.weights}

    def counts(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return what each term of these frames will be divided by, before any prediction."""
        return {name: term.count(batch, known) for name, (term, known) in self._terms.items()}

    def totals(self, prediction: Prediction, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Sum each term up over a batch, of a prediction that has ``outputs``."""
        given = Given(batch, prediction)
        return {name: term.total(given, known) for name, (term, known) in self._terms.items()}


def _prepare(name: str, losses: LossConfig, rest_hand: RestHand) -> tuple[Formula, Any]:
    """Return a term's formula, and what it knows before it sees a batch."""
    term = TERMS[name]
    formula: Formula = import_module(term.modules[0]).FORMULAS[name]
    settings = Settings(**{setting: getattr(losses, setting) for setting in term.settings})
    return formula, formula.prepare(settings, rest_hand)
