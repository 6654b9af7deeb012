"""The command that puts other people's predictions into a table."""

from pathlib import Path
from typing import Annotated

import typer

from s2hand_platform.cli.options import DataOption, ScaleOption, TableArgument, choose_place
from s2hand_platform.common_options import VerboseOption, WorkspaceOption
from s2hand_platform.errors import SpecError


def import_predictions(
    recipe: TableArgument,
    predictions: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="pred.json, or a zip archive that holds one."),
    ] = None,
    *,
    label: Annotated[str, typer.Option(help="Whose predictions: the row's label.")] = "",
    remove: Annotated[
        str, typer.Option(metavar="LABEL", help="Take the imported row of this label or id out.")
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Of which of the table's sets, where it has several.")
    ] = "",
    data: DataOption = None,
    scale: ScaleOption = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Score somebody's predictions of a table's test set; they stand in it as an imported row.

    Or take such a row out again: --remove LABEL.
    """
    from s2hand_platform.runs.imports import import_row, remove_row

    if remove and (predictions or label):
        raise SpecError(["--remove: goes without FILE and --label; leave them out"])
    if not remove and not (predictions and label):
        raise SpecError(["give FILE and --label whose they are, or --remove a row's label"])
    place = choose_place(data, scale, workspace, "cpu")
    if predictions is None:
        for gone in remove_row(place, recipe, remove, dataset=dataset):
            what = f"{gone.label} (n = 1), {gone.file_name} (SHA-256 {gone.file_sha256})"
            typer.echo(f"removed from {gone.table}: {what} on {gone.data_title}")
        return
    row = import_row(place, recipe, predictions, label, dataset=dataset)
    typer.echo(f"{row.label}: {row.file_name} (SHA-256 {row.file_sha256}) on {row.data_title}")
    for name, value in row.metrics.items():
        unit = row.units[name]
        typer.echo(f"{name:<40} {value:9.4f}{'' if unit == '1' else ' ' + unit}")
    typer.echo(f"kept as a row of {row.table} (n = 1, no verdict): s2hand table {row.table}")
