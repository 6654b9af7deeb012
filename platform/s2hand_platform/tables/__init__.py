"""The measured table, and how it is written."""

from s2hand_platform.tables.measured import MeasuredTable

__all__ = ["MeasuredTable"]
