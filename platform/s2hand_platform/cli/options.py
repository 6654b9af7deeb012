"""Options that several commands have."""

import math
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from s2hand_platform.errors import SpecError

if TYPE_CHECKING:
    from s2hand_platform.runs.place import HowToRun, Place

TableArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="A name in sweeps/tables, or the path of a TOML file."
    ),
]
TableNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A table that was planned or run in the workspace.")
]
SearchArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="A name in sweeps/searches, or the path of a TOML file."
    ),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|PATH|NAME=PATH",
        help="A dataset, or its folder; again for each set of several, as NAME=PATH; else the "
        "experiment's usual one.",
    ),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(help="A name in sweeps/scales; else the usual one for the data."),
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="What trials train on; auto: CUDA where this machine has it."),
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, help="How many seeds; else as many as the scale takes.")
]
UntilDecidedOption = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="Judge at 5, 8, 12 seeds; go on only while a declared contrast is open.",
    ),
]
MaxSeedsOption = Annotated[
    int | None,
    typer.Option(min=2, help="Seeds of the last look of --until-decided; else 12."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        help="MLflow's; else S2HAND_TRACKING_URI, MLFLOW_TRACKING_URI, or the workspace's database."
    ),
]
ConcurrentOption = Annotated[
    int | None, typer.Option(min=1, help="Trials at once; else as many as fit.")
]
CpusOption = Annotated[
    float | None, typer.Option(min=1, help="CPUs (and threads) of each training worker.")
]
GpusOption = Annotated[
    float | None, typer.Option(min=0, help="GPUs of each training worker; else 1 on CUDA.")
]
WithoutRayOption = Annotated[
    bool,
    typer.Option("--without-ray", help="One trial after the other in this process."),
]


def choose_place(
    data: list[str] | None,
    scale: str | None,
    workspace: str | None,
    device: Literal["auto", "cpu", "cuda"],
) -> "Place":
    """Make the place that the options name."""
    from s2hand_platform.runs.place import Place

    return Place.choose(data=data, scale=scale, workspace=workspace, device=device)


def seeds_until_decided(
    *, until_decided: bool, max_seeds: int | None, seeds: int | None
) -> int | None:
    """Return the seeds of the last look; None for a run that is judged once.

    Raises:
        SpecError: if options are given that do not go together.
    """
    from s2hand_platform.runs.tables import MAX_SEEDS_UNTIL_DECIDED

    if until_decided and seeds is not None:
        raise SpecError(["--seeds: --until-decided takes --max-seeds in its place; leave one out"])
    if max_seeds is not None and not until_decided:
        raise SpecError(["--max-seeds: goes with --until-decided; --seeds says how many to run"])
    return (max_seeds or MAX_SEEDS_UNTIL_DECIDED) if until_decided else None


def how_to_run(
    *,
    address: str | None,
    tracking_uri: str | None,
    max_concurrent: int | None,
    cpus_per_worker: float | None,
    gpus_per_worker: float | None,
    without_ray: bool,
) -> "HowToRun":
    """Gather the options of a run.

    Raises:
        SpecError: if options of Ray are given for a run without it.
    """
    from s2hand_platform.execution.settings import RunSettings
    from s2hand_platform.runs.place import HowToRun

    of_ray = {
        "--address": address,
        "--max-concurrent": max_concurrent,
        "--cpus-per-worker": cpus_per_worker,
        "--gpus-per-worker": gpus_per_worker,
    }
    ignored = [option for option, value in of_ray.items() if value is not None]
    if without_ray and ignored:
        raise SpecError([f"--without-ray: goes without {', '.join(ignored)}; leave one out"])
    for option, value in of_ray.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError([f"{option}: must be a finite number, got {value}"])
    settings = RunSettings(
        address=address,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        max_concurrent=max_concurrent,
    )
    return HowToRun(settings=settings, without_ray=without_ray, tracking_uri=tracking_uri)
