"""Errors that a user of ``s2hand`` can meet: what was expected, what was found, what to do."""

from collections.abc import Sequence


class S2HandError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(S2HandError, ValueError):
    """A configuration value that cannot be used."""


class HandModelError(S2HandError, ValueError):
    """A hand model file that is missing, truncated, unsafe, or not MANO's layout."""


class DataError(S2HandError, ValueError):
    """A dataset file that is missing, truncated or inconsistent."""


class CheckpointError(S2HandError, ValueError):
    """A checkpoint that cannot be read or belongs to another configuration."""


class NonFiniteLossError(S2HandError, ArithmeticError):
    """A loss term became NaN or infinite; carries the term and the samples of that batch."""

    def __init__(self, term: str, value: float, sample_ids: Sequence[str]) -> None:
        self.term = term
        self.value = value
        self.sample_ids = tuple(sample_ids)
        shown = ", ".join(self.sample_ids[:8]) + (", …" if len(self.sample_ids) > 8 else "")
        super().__init__(
            f"loss term '{term}' must be finite, got {value} for samples [{shown}]; "
            "the run stops here: lower the learning rate or inspect these samples"
        )

    def __reduce__(self) -> tuple[type, tuple[str, float, tuple[str, ...]]]:
        """Keep the arguments when the error crosses a process border."""
        return (type(self), (self.term, self.value, self.sample_ids))


class SourceError(S2HandError):
    """A module's source that cannot be fingerprinted."""
