"""The ledger of claims, judged by a workspace's store."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from s2hand_platform.claims import ClaimLedger
from s2hand_platform.claims.measured import MeasuredRow, measured_tables
from s2hand_platform.devices import DeviceType
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import default_experiment
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec import files
from s2hand_platform.spec.claims import LedgerSpec, load_claims
from s2hand_platform.spec.loader import load_scale, load_table
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables.kept import asked_by, is_label_of, options_of
from s2hand_platform.workspace import Workspace


def check_claims(
    *,
    data: str | Sequence[str] | None = None,
    scale: str | None = None,
    device: DeviceType | None = None,
    workspace: str | Path | None = None,
    experiment: Experiment | None = None,
) -> ClaimLedger:
    """Judge the paper's claims by its own cells, and by what was measured of its tables.

    What was measured comes from the store alone, and all of it from one kind of data, at one scale,
    on one kind of device.

    Args:
        data: what was measured on, as it was run; None where that is clear.
        scale: the scale, as it was run; None where that is clear.
        device: where trials ran; None where that is clear.
        workspace: None is ``S2HAND_WORKSPACE``, or else ``./workspace``.
        experiment: None is the one that the command line runs.

    Raises:
        SpecError: with all faults of ``claims.toml``; if nothing was planned on what is named, or
            several kinds of data, scale or device were and none is named.
    """
    experiment = experiment or default_experiment()
    spec = load_claims(experiment)
    store = ResultStore(Workspace.resolve(workspace).store_dir)
    chosen = _choose(spec, store, data, scale, device)
    if chosen is None:
        hint = f"Nothing is measured in {store.path}; begin with: s2hand run {_first(spec)}"
        return ClaimLedger.judge(spec, {}, remarks=(hint,))
    label, device_type = chosen
    tables = measured_tables(spec.tables, store, label=label, device_type=device_type)
    return ClaimLedger.judge(
        spec,
        tables,
        measured_on=label,
        device_type=device_type,
        remarks=tuple(_remarks(spec, tables, label, experiment)),
    )


def _choose(
    spec: LedgerSpec,
    store: ResultStore,
    data: str | Sequence[str] | None,
    scale: str | None,
    device: str | None,
) -> tuple[str, str] | None:
    """Return the label and the device whose results are taken; None where there are none."""
    known = dict.fromkeys(
        (label, device_type)
        for name in spec.tables
        for label, device_type in store.table_labels(name)
        if device in {None, device_type} and is_label_of(label, data, scale)
    )
    if len(known) > 1:
        listed = ", ".join(f"'{label}' on {device_type}" for label, device_type in known)
        raise SpecError(
            [f"claims: tables were run on {listed}; name one by data, scale and device"]
        )
    asked = asked_by(data, scale, device)
    if not known and asked:
        fault = f"claims: the store at {store.path} has no table of the ledger with{asked}"
        raise SpecError([f"{fault}; make one with: s2hand run {_first(spec)}{asked}"])
    return next(iter(known), None)


def _remarks(
    spec: LedgerSpec,
    tables: Mapping[str, Mapping[str, MeasuredRow]],
    label: str,
    experiment: Experiment,
) -> Iterator[str]:
    """Name the seeds that failed, and the commands that measure what is missing."""
    for name in spec.tables:
        rows = tables.get(name, {})
        for row_id, row in rows.items():
            for seed, reason in row.failed.items():
                yield f"Failed: {name}.{row_id}, seed {seed}: {reason}"
        is_measured = any(seeds for row in rows.values() for seeds in row.values.values())
        if name in files.names("tables") and not is_measured:
            yield f"{name} is not measured: {_how_to_measure(name, label, experiment)}"


def _how_to_measure(name: str, label: str, experiment: Experiment) -> str:
    """Return the command, or why there is none at the label's scale."""
    scale = label.removesuffix(")").rpartition(" (")[2]
    try:
        load_table(name, experiment).at(load_scale(scale, experiment))
    except SpecError as error:
        return str(error).removeprefix(f"{name}: ")
    return f"s2hand run {name} {options_of(label)}"


def _first(spec: LedgerSpec) -> str:
    """Name the table with a recipe that most claims are about: it decides most."""
    recipes = files.names("tables")
    about = Counter(claim.table for claim in spec.claims if not claim.not_checkable)
    known = [name for name in spec.tables if name in recipes]
    return max(known, key=lambda name: about[name], default="TABLE")
