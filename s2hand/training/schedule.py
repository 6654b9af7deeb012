"""The learning rate of an epoch."""

from s2hand.config import StageConfig


def learning_rate(stage: StageConfig, epoch: int) -> float:
    """Return the stage's learning rate in ``epoch`` (from 0), which falls in steps.

    References:
        Paper §4.3; the steps are fields of the stage.
    """
    return stage.learning_rate * stage.decay_factor ** (epoch // stage.decay_every_epochs)
