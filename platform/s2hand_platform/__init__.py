"""Plan, run, record and judge: which numbers of a paper's tables hold."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2hand_platform.runs.claims import check_claims
    from s2hand_platform.runs.tables import reproduce
    from s2hand_platform.store.results import ResultStore

__all__ = ["ResultStore", "check_claims", "reproduce"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for: training workers need none of them."""
    match name:
        case "reproduce":
            from s2hand_platform.runs.tables import reproduce

            return reproduce
        case "check_claims":
            from s2hand_platform.runs.claims import check_claims

            return check_claims
        case "ResultStore":
            from s2hand_platform.store.results import ResultStore

            return ResultStore
        case _:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
