"""What rows are that nothing is trained for, in words."""

from s2hand_platform.experiments import describe_baseline
from s2hand_platform.tables.parts import TableRow

_PUBLISHED = (
    "a row of the paper without a recipe here, or with one that the scale leaves out: nothing "
    "measures it"
)
_QUOTED = (
    "a row that the paper quotes from another publication, which its label names: it is never "
    "run here"
)
_BASELINE = "a predictor by formula: nothing is trained, so it has no seeds and no interval"

_IMPORTED = (
    "predictions that somebody made elsewhere and this project scored: one set of them, so it has "
    "no interval, and nothing of their training is known"
)


def baseline_name(row: TableRow) -> str:
    """Return what a baseline is called by the experiment; its row may name its dataset too."""
    return row.label.removesuffix(f" ({row.dataset})")


def what_it_is(row: TableRow) -> tuple[str, ...]:
    """Say what a row is that has no recipe, a sentence each; nothing of one that has."""
    match row.kind:
        case "baseline":
            return (_BASELINE, *describe_baseline(baseline_name(row)))
        case "published":
            return (_PUBLISHED,)
        case "imported":
            return (_IMPORTED,)
        case "quoted":
            return (_QUOTED,)
        case "measured":
            return ()
