"""A card in words, part by part, and on the terminal."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from s2hand_platform.cards.card import AttemptCard, CellCard, RowCost, RowOrigin
from s2hand_platform.revision import Revision
from s2hand_platform.store.records import TrackedRun
from s2hand_platform.tables.layout import format_interval

_SHORT = 12
"""Letters of a hash that are shown; JSON has all of them."""
_DECIMALS = 3
_NAME_WIDTH = range(14, 34)


class Part(NamedTuple):
    """A part of a card under a heading."""

    heading: str
    lines: tuple[tuple[str, str], ...]
    """What it is, and how it is."""


def parts(card: CellCard) -> tuple[Part, ...]:
    """Say in words what stands on a card; parts with nothing in them are left out."""
    trained = card.trained
    found = [
        Part("Value", tuple(_value(card))),
        Part("What the row is", tuple(("", each) for each in card.what)),
        Part("How the verdict follows", tuple(("", each) for each in card.arithmetic)),
    ]
    if trained is not None:
        found += [
            Part("Settings", tuple(_settings(trained))),
            Part("Attempts", tuple(_attempts(trained))),
            Part("Code and data", tuple(_code_and_data(trained))),
        ]
    found.append(Part("Evaluator", tuple(_evaluators(card))))
    if trained is not None:
        found += [
            Part("The same trainings", tuple(_relations(trained))),
            Part("A rerun of the row", tuple(_cost(trained.cost))),
        ]
    return tuple(part for part in found if part.lines)


def to_rich(card: CellCard) -> RenderableType:
    """Draw a card for the terminal."""
    blocks: list[RenderableType] = [Text(f"{card.name}: {card.title}", style="bold")]
    for part in parts(card):
        grid = Table.grid(padding=(0, 2))
        # A name breaks between words: the path of a setting is one, however long it is.
        words = " ".join(name for name, _ in part.lines).split()
        longest = max(map(cell_len, words), default=0)
        grid.add_column(
            style="dim",
            min_width=max(_NAME_WIDTH.start, longest),
            max_width=max(_NAME_WIDTH.stop, longest),
            overflow="fold",
        )
        grid.add_column(overflow="fold")
        for name, text in part.lines:
            grid.add_row(Text(name), Text(text))
        blocks += [Text(f"\n{part.heading}", style="bold cyan"), grid]
    return Group(*blocks)


def _value(card: CellCard) -> Iterator[tuple[str, str]]:
    unit = "" if card.unit == "1" else f" {card.unit}"
    decimals = card.published.decimals if card.published else _DECIMALS
    if card.kind in {"baseline", "imported"} and card.interval is not None:
        yield "measured", f"{card.interval.mean:.6g}{unit}"
    elif card.interval is None:
        measure = f" yet; measure it with: {card.remedy}" if card.remedy else ""
        yield "measured", f"nothing{measure}"
    else:
        yield "measured", format_interval(card.interval, decimals) + unit
    if card.published:
        low, high = (
            f"{each:.{decimals + 1}f}" for each in (card.published.low, card.published.high)
        )
        yield "printed", f"{card.published.text}{unit} (rounded from {low} to {high})"
        yield "printed in", f"{card.published.table}; row '{card.published.row}'"
    yield "verdict", card.verdict
    for seed, value in card.values.items():
        yield f"seed {seed}", f"{value:.6g}"
    for seed, reason in card.failed.items():
        yield f"seed {seed}", f"failed: {reason}"
    yield "row", card.row_label
    yield "metric", f"{card.metric}, {card.direction} is better"
    if card.measured_on:
        where = f"; trained on {card.device_type}" if card.trained else ""
        yield "measured on", f"{card.measured_on}, as '{card.label}'{where}"


def _settings(trained: RowOrigin) -> Iterator[tuple[str, str]]:
    for path, value in trained.settings.items():
        yield path, _setting(value)
    for baseline, differences in trained.against_baselines.items():
        if not differences:
            yield f"against '{baseline}'", "no setting differs"
        for path, (own, its) in differences.items():
            yield f"against '{baseline}'", f"{path}: {_setting(own)} here, {_setting(its)} there"


def _setting(value: Any) -> str:
    return value if isinstance(value, str) and value else repr(value)


def _attempts(trained: RowOrigin) -> Iterator[tuple[str, str]]:
    for attempt in trained.attempts:
        name = f"seed {attempt.seed}, attempt {attempt.attempt}"
        yield name, "; ".join(filter(None, _about_attempt(attempt)))
        yield from ((f"MLflow, {run.group}", _run(run)) for run in attempt.runs)


def _about_attempt(attempt: AttemptCard) -> Iterator[str]:
    counts = ", stands in the cell" if attempt.counts else ""
    yield attempt.status.replace("_", " ") + counts
    yield attempt.reason
    yield f"{attempt.started.astimezone(UTC):%Y-%m-%d %H:%M} UTC, took {_s(attempt.duration_s)}"
    if attempt.training_s is not None:
        yield f"training {_s(attempt.training_s)}"
    if attempt.evaluation_s is not None:
        yield f"evaluation {_s(attempt.evaluation_s)}"
    if attempt.device:
        threads = f"{attempt.threads} thread{'' if attempt.threads == 1 else 's'}"
        yield f"{attempt.device}, {attempt.framework}, {threads}"
    yield f"trial {attempt.trial_id[:_SHORT]}"


def _run(run: TrackedRun) -> str:
    return f"run {run.run_id} of '{run.name}' in {run.tracker or 'the workspace database'}"


def _code_and_data(trained: RowOrigin) -> Iterator[tuple[str, str]]:
    yield "configuration", trained.config_hash[:_SHORT]
    modules = "" if trained.num_modules is None else f", of {trained.num_modules} modules"
    yield "code", _hash(trained.code_fingerprint) + modules
    missing = trained.missing_patches
    revisions = dict.fromkeys(each.revision for each in trained.attempts)
    for revision in revisions:
        yield "commit", _revision(revision, missing)
    for name, digest in trained.starts.items():
        yield name, digest[:_SHORT]
    yield "training data", _hash(trained.data_fingerprint)
    yield "measured on", _record(trained.data)
    yield "evaluation", f"{_hash(trained.evaluation_fingerprint)}, of its code, data and settings"


def _revision(revision: Revision | None, missing: tuple[str, ...]) -> str:
    if revision is None:
        return "not recorded: measured before commits were"
    if revision.commit is None:
        return "unknown: the code lay in no repository"
    text = f"{revision.commit[:_SHORT]}, tree {revision.state}"
    if revision.patch:
        is_lost = revision.patch in missing
        lost = ", which this store does not have (exports leave patches out)" if is_lost else ""
        text += f"; what differs: patch {revision.patch[:_SHORT]}{lost}"
    return text


def _record(data: Mapping[str, Any]) -> str:
    version = f" {data['version']}" if data["version"] else ""
    return f"{data['title']} ({data['origin']}; {data['dataset']}{version})"


def _evaluators(card: CellCard) -> Iterator[tuple[str, str]]:
    for name, words in card.evaluators.items():
        yield "id", name
        yield from (("", each) for each in words)


def _relations(trained: RowOrigin) -> Iterator[tuple[str, str]]:
    for row, columns in trained.also_fills.items():
        yield row, f"fill {', '.join(columns)}"
    for stage, rows in trained.shared_stages.items():
        yield f"stage '{stage}'", f"shared with {', '.join(rows)}"


def _cost(cost: RowCost) -> Iterator[tuple[str, str]]:
    if cost.hours is None or cost.hours_per_seed is None:
        yield "cost", "not known: it was never run to its end"
        return
    yield "one seed", _s(3600 * cost.hours_per_seed)
    yield f"{cost.seeds} seeds", f"{_s(3600 * cost.hours)}, one by one, with nothing shared"
    if cost.evaluation_hours is not None:
        yield "evaluation alone", _s(3600 * cost.evaluation_hours)


def _hash(fingerprint: str | None) -> str:
    return "cannot be fingerprinted" if fingerprint is None else fingerprint[:_SHORT]


def _s(seconds: float) -> str:
    """Write a duration with the unit that a reader thinks in."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
