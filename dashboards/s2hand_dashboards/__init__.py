"""Pages of what was measured: one HTML file each, made from the store alone."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2hand_dashboards.reporting import report

__all__ = ["report"]


def __getattr__(name: str) -> Any:
    """Import the public name when it is asked for: the command line's help needs it not."""
    if name == "report":
        from s2hand_dashboards.reporting import report

        return report
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
