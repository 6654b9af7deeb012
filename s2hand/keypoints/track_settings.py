"""Thresholds by which hands are followed through a video; nothing slow is imported here."""

from dataclasses import dataclass

from s2hand.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackSettings:
    """Thresholds of the filter."""

    min_confidence: float = 0.3
    """Least mean confidence of a hand's 21 points; larger keeps fewer, surer frames."""
    max_step: float = 0.3
    """Farthest that a hand moves from a frame to the next, in its extents: the mean distance of its
    points over the diagonal of their box. What moves farther has jumped: a cut, or another hand."""
    max_gap: int = 2
    """Pictures in a row in which a hand may be missing; larger bridges longer gaps."""
    min_frames: int = 7
    """Fewest frames of a track. 7 hold one clip of the paper's: 3 frames, 3 apart (Table 7)."""

    def __post_init__(self) -> None:
        faults = []
        if not 0 <= self.min_confidence <= 1:
            faults.append(f"min_confidence must lie in 0..1, got {self.min_confidence}")
        if not self.max_step > 0:
            faults.append(f"max_step must be above 0, got {self.max_step}")
        if self.max_gap < 0:
            faults.append(f"max_gap must not be negative, got {self.max_gap}")
        if self.min_frames < 1:
            faults.append(f"min_frames must be at least 1, got {self.min_frames}")
        if faults:
            raise ConfigurationError("; ".join(faults))
