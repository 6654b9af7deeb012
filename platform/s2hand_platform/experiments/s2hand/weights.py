"""The commands ``s2hand weights …``: which starting weights there are, and making them again.

The model is imported by the command that needs it: help is shown without.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from s2hand.files import is_folder, what_lies_at
from s2hand.parts import WEIGHTS, WeightsName
from s2hand_platform.common_options import VerboseOption, WorkspaceOption
from s2hand_platform.devices import choose_device_type
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.s2hand.datasets import VALIDATION, synthetic_folder
from s2hand_platform.workspace import Workspace

if TYPE_CHECKING:
    from s2hand.starting_weights import StartingWeights

weights_app = typer.Typer(
    help="The starting weights that come with the project.", invoke_without_command=True
)

_SHOWN_POINTS = 10
_SHOWN_METRICS = {
    "loss": "loss",
    "loss/total": "loss",
    "validation/keypoint_px": "keypoints, px",
    "validation/pa_mpjpe_cm": "aligned joints, cm",
    "validation/projected_keypoint_px": "projected joints, px",
    "validation/heatmap_keypoint_px": "2D branch, px",
    "validation/silhouette_error": "1 − IoU",
    "validation/photometric_error": "colours",
}
"""Metrics in short; a card as JSON has all of them."""


@weights_app.callback()
def list_weights(context: typer.Context) -> None:
    """List the starting weights that come with the project; a name shows its card."""
    if context.invoked_subcommand is not None:
        return
    table = Table("name", "of", "pictures", "hours", "MB", "validation", box=None)
    for name, parts in WEIGHTS.items():
        found = _bundled(name)
        if found is None:
            table.add_row(name, ", ".join(parts), *[""] * 3, "none here")
            continue
        card = found.card
        megabytes = f"{found.path.stat().st_size / 1e6:.1f}"
        table.add_row(
            name,
            ", ".join(parts),
            f"{card.pictures:,}",
            f"{card.hours:.1f}",
            megabytes,
            _told(card.scores),
        )
    Console().print(table)


JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole card as JSON.")]


@weights_app.command("hands")
def show_hands(*, as_json: JsonOption = False) -> None:
    """Show the card of the features: encoder and trunk, trained on simulated detections."""
    _show("hands", as_json=as_json)


@weights_app.command("s2hand")
def show_s2hand(*, as_json: JsonOption = False) -> None:
    """Show the card of the whole model."""
    _show("s2hand", as_json=as_json)


@weights_app.command("build")
def build(
    name: Annotated[Literal["hands", "s2hand"], typer.Argument(help="Which; hands comes first.")],
    *,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option()] = "auto",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Train weights by their recipe into the workspace; run again to go on after a stop.

    Takes hours on two cores, minutes on a GPU. Their scores are shown beside those of the weights
    that come with the project.
    """
    from s2hand.pretraining.build import Places, build_weights

    place = Workspace.resolve(workspace)
    place.require_writable()
    folder = place.root / "weights"
    places = Places(
        weights_dir=folder,
        work_dir=folder / "training",
        data_root=_existing(synthetic_folder(place, "pretraining"), "pretraining"),
        validation_root=_existing(synthetic_folder(place, "compact") / VALIDATION, "compact"),
        cache_dir=place.cache_dir,
    )

    def report(place: int, metrics: Mapping[str, float]) -> None:
        typer.echo(f"{place:>12} {_told(metrics)}")

    made = build_weights(name, places, seed=seed, device=choose_device_type(device), report=report)
    typer.echo(f"wrote {made.path}")
    bundled = _bundled(name)
    table = Table("validation", "made now", "with the project", box=None)
    now, before = _shown(made.card.scores), _shown(bundled.card.scores if bundled else {})
    for key in now:
        table.add_row(key, now[key], before.get(key, "–"))
    Console().print(table)


def _show(name: WeightsName, *, as_json: bool) -> None:
    from s2hand.starting_weights import open_weights

    found = open_weights(name)
    card = found.card
    if as_json:
        typer.echo(json.dumps({"sha256": found.sha256, **asdict(card)}, indent=2))
        return
    lines = {
        "sha256": found.sha256,
        "of": ", ".join(WEIGHTS[name]),
        "fits": ", ".join(f"{field} {value}" for field, value in card.fits.items()),
        "trained on": _set(card.data, card.recipe["config"]["data"]["max_frames"]),
        "measured on": _set(card.validation_data),
        "training": f"{card.pictures:,} pictures in {card.steps:,} steps, {card.hours:.2f} h",
        "code": ", ".join(f"{what} {value}" for what, value in card.code.items()),
        "scores": _told(card.scores),
    }
    for label, text in lines.items():
        typer.echo(f"{label:<12} {text}")
    step = max(1, -(-len(card.curve) // _SHOWN_POINTS))
    for point in [*card.curve[:-1:step], *card.curve[-1:]]:
        typer.echo(f"{point['place']:>12} {_told(point)}")


def _set(record: Mapping[str, Any], num_first: int = 0) -> str:
    """Say what a set is: its title, the pictures that were used, of the benchmark the namespace."""
    generation = record["generation"] or {"size": {}}
    namespaces = "".join(f", namespace {name}" for name in generation["size"])
    used = f"the first {num_first:,} of " if 0 < num_first < record["frames"] else ""
    return f"{record['title']}{namespaces}, {used}{record['frames']:,} pictures"


def _told(metrics: Mapping[str, float]) -> str:
    return "; ".join(f"{label} {value}" for label, value in _shown(metrics).items())


def _shown(metrics: Mapping[str, float]) -> dict[str, str]:
    return {label: f"{metrics[key]:.4g}" for key, label in _SHOWN_METRICS.items() if key in metrics}


def _bundled(name: WeightsName) -> "StartingWeights | None":
    """Return the weights that come with the project; None where there are none."""
    from s2hand.starting_weights import open_weights, weights_path

    return open_weights(name) if weights_path(name).is_file() else None


def _existing(folder: Path, size: str) -> Path:
    if not is_folder(folder):
        how = f"make it with: s2hand data make synthetic --size {size}"
        raise SpecError([f"expected a set at {folder}, there is {what_lies_at(folder)}; {how}"])
    return folder
