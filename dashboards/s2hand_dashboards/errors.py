"""Errors of the dashboards."""

from s2hand_platform.errors import PlatformError


class ReportError(PlatformError):
    """A page that cannot be made or written."""
