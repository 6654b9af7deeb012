"""The command ``s2hand export``: a trained model as ONNX.

The model is imported when the command is run: help is shown without.
"""

from pathlib import Path
from typing import Annotated

import typer

from s2hand.files import is_folder
from s2hand_platform.common_options import VerboseOption
from s2hand_platform.errors import SpecError
from s2hand_platform.paths import local_path


def export(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]", help="A model.safetensors; else the project's own model."
        ),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.onnx")],
    verbose: VerboseOption = False,
) -> None:
    """Write a trained model as ONNX, for programs without PyTorch (needs the extra ``onnx``)."""
    target = local_path(output, "--output")
    if target.suffix.lower() != ".onnx":
        raise SpecError([f"--output: must be a file's name that ends in .onnx, got '{output}'"])
    if not is_folder(target.parent):
        raise SpecError([f"--output: there is no folder '{target.parent}' for '{output}'; make it"])
    import s2hand
    from s2hand.onnx_export import export_onnx, is_free

    opened = s2hand.load(None if model is None else local_path(model, "MODEL")).model
    export_onnx(opened, target)
    typer.echo(f"wrote {output}: {target.stat().st_size / 1e6:.1f} MB")
    if not is_free(opened):
        typer.echo(
            "warning: this file holds MANO, whose licence does not let you pass it on; keep it to "
            "yourself (docs/licences.md)",
            err=True,
        )
