"""The command that puts other people's predictions into a table."""

from pathlib import Path
from typing import Annotated

import typer

from s2hand_platform.cli.options import DataOption, ScaleOption, TableArgument, choose_place
from s2hand_platform.common_options import VerboseOption, WorkspaceOption


def import_predictions(
    recipe: TableArgument,
    predictions: Annotated[
        Path, typer.Argument(metavar="FILE", help="pred.json, or a zip archive that holds one.")
    ],
    *,
    label: Annotated[str, typer.Option(help="Whose predictions: the row's label.")],
    dataset: Annotated[
        str, typer.Option(help="Of which of the table's sets, where it has several.")
    ] = "",
    data: DataOption = None,
    scale: ScaleOption = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Score somebody's predictions of a table's test set; they stand in it as an imported row."""
    from s2hand_platform.runs.imports import import_row

    place = choose_place(data, scale, workspace, "cpu")
    row = import_row(place, recipe, predictions, label, dataset=dataset)
    typer.echo(f"{row.label}: {row.file_name} (SHA-256 {row.file_sha256}) on {row.data_title}")
    for name, value in row.metrics.items():
        unit = row.units[name]
        typer.echo(f"{name:<40} {value:9.4f}{'' if unit == '1' else ' ' + unit}")
    typer.echo(f"kept as a row of {row.table} (n = 1, no verdict): s2hand table {row.table}")
