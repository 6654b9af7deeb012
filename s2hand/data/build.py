"""From a configuration to its datasets: which split of which folder is read, and how."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from s2hand.config import DataConfig, S2HandConfig
from s2hand.data.files import refuse_dangling
from s2hand.data.loader import Survey, loader_of
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.files import is_folder
from s2hand.layouts import LAYOUTS, DatasetName, Layout, Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A split of the set in a folder, and what a configuration wants of it."""

    layout: Layout
    folder: Path
    split: Split
    settings: Mapping[str, object]

    def files_read(self) -> tuple[Path, ...]:
        """Name every file that ``load``, and decoding its table's images, opens.

        Raises:
            DataError: If a file that names others is missing or truncated.
        """
        return loader_of(self.layout).files_read(self.folder, self.split, **self.settings)

    def load(self) -> FrameTable:
        """Read the split.

        Raises:
            DataError: If a file is missing, truncated, or does not fit the others.
        """
        return loader_of(self.layout).load(self.folder, self.split, **self.settings)

    def survey(self) -> Survey:
        """Look at the whole split's lists and folders.

        Raises:
            DataError: If a list or a folder is missing.
        """
        return loader_of(self.layout).survey(self.folder, self.split)


def training_source(config: S2HandConfig) -> Source:
    """Say which set a configuration trains on, the first of a mixture, before holding out."""
    return _trained_on(config.data, config.data.dataset, config.data.root, "data.root")


def extra_sources(config: S2HandConfig) -> tuple[Source, ...]:
    """Say which sets a configuration trains on besides.

    Raises:
        DataError: If the folder of one is not named, or a set is named twice.
    """
    data = config.data
    roots = data.extra_roots or ("",) * len(data.extra_datasets)
    found = tuple(
        _trained_on(data, name, root, "data.extra_roots")
        for name, root in zip(data.extra_datasets, roots, strict=True)
    )
    known = {training_source(config).folder.resolve()} if found else set()
    for source in found:
        if source.folder.resolve() in known:
            raise DataError(
                f"data.extra_roots: {source.folder} is named twice, so that its frames would count "
                "twice; name each training set once"
            )
        known.add(source.folder.resolve())
    return found


def evaluation_source(config: S2HandConfig) -> Source:
    """Say what a configuration is evaluated on.

    Raises:
        DataError: If that has no true hands.
    """
    data = config.data
    return _evaluated(data.evaluation_root or data.root, data.evaluation_dataset or data.dataset)


def validation_source(config: S2HandConfig) -> Source | None:
    """Say which set of its own a configuration is validated on; None: on none.

    Raises:
        DataError: If that has no true hands.
    """
    data = config.data
    if not data.validation_root:
        return None
    return _evaluated(data.validation_root, data.evaluation_dataset or data.dataset)


def _trained_on(data: DataConfig, dataset: DatasetName, root: str, field: str) -> Source:
    layout = LAYOUTS[dataset]
    return Source(
        layout=layout,
        folder=dataset_folder(root, dataset, field=field),
        split="train",
        settings={name: getattr(data, name) for name in layout.loader_settings},
    )


def _evaluated(root: str, dataset: DatasetName) -> Source:
    _require_truth(dataset, "data.evaluation_dataset")
    folder = dataset_folder(root, dataset)
    return Source(layout=LAYOUTS[dataset], folder=folder, split="test", settings={})


def dataset_folder(root: str | Path, dataset: DatasetName, *, field: str = "data.root") -> Path:
    """Return the folder in the official layout: ``root``, or ``root/dataset`` if that exists.

    Args:
        root: The folder that was named.
        dataset: The layout.
        field: What named it, for the message.

    Raises:
        DataError: If ``root`` is empty, or a symbolic link on the way leads nowhere.
    """
    if not str(root):
        raise DataError(
            f"{field} must name the folder of the {dataset} set, got an empty text; "
            "`s2hand data make synthetic` makes one that needs no download"
        )
    nested = Path(root) / dataset
    refuse_dangling(nested)
    return nested if is_folder(nested) else Path(root)


def load_train(config: S2HandConfig) -> FrameTable:
    """Load the training split of a configuration's first set, without what it holds out.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    table = _trained_table(training_source(config), config)
    return table.select(np.flatnonzero(~_held_out(table, config.data.validation_fraction)))


def load_extra(config: S2HandConfig) -> tuple[FrameTable, ...]:
    """Load the training splits of the sets that a configuration trains on besides, whole.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    return tuple(_trained_table(source, config) for source in extra_sources(config))


def _trained_table(source: Source, config: S2HandConfig) -> FrameTable:
    """Load what is trained on; a camera that nobody stated is refused where a model reads it."""
    table = source.load()
    is_stated = table.has_camera is None or config.data.assumed_focal > 0
    if config.model.projection == "perspective" and not is_stated:
        assert table.has_camera is not None
        unknown = np.flatnonzero(~table.has_camera)
        raise DataError(
            f"{source.folder}: no camera is known of {len(unknown):,} of {len(table):,} hands, "
            f"such as {table.sample_ids[unknown[0]]}, and a perspective model needs it; train with "
            'model.projection = "orthographic", state a focal length in longer sides of the '
            "picture as data.assumed_focal (`s2hand predict` assumes 1), or write the cameras of a "
            "folder into its intrinsics.json"
        )
    return table


def load_validation(config: S2HandConfig) -> FrameTable | None:
    """Load what a training is validated on: a set of its own, or what it holds out.

    Returns:
        The evaluation split of ``data.validation_root``, or the part of the training split that
        ``data.validation_fraction`` holds out; None where the configuration asks for neither.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    source = validation_source(config)
    if source is not None:
        return source.load()
    if not config.data.validation_fraction:
        return None
    _require_truth(config.data.dataset, "data.validation_fraction")
    table = training_source(config).load()
    return table.select(np.flatnonzero(_held_out(table, config.data.validation_fraction)))


def load_test(config: S2HandConfig) -> FrameTable:
    """Load the evaluation split that a configuration asks for.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    return evaluation_source(config).load()


def _require_truth(dataset: DatasetName, setting: str) -> None:
    """Refuse to measure on a set without true hands."""
    if not LAYOUTS[dataset].is_measured:
        measured = " or ".join(name for name, layout in LAYOUTS.items() if layout.is_measured)
        raise DataError(
            f"{setting}: {LAYOUTS[dataset].title} has no true hands in metres to measure on, it "
            f"is trained on; evaluate and validate on {measured}, by data.evaluation_dataset with "
            "data.evaluation_root or data.validation_root"
        )


def _held_out(table: FrameTable, fraction: float) -> Bool[np.ndarray, "frames"]:
    """Say which rows are held out: the last sequences, or the last images of a collection."""
    if any(table.sequences):
        units = np.unique(table.sequences, return_inverse=True)[1]
    else:
        units = np.arange(len(table))
    num_units = int(units.max(initial=-1)) + 1
    held: np.ndarray = units >= num_units - math.ceil(fraction * num_units)
    if held.all():
        raise DataError(
            f"data.validation_fraction={fraction} leaves none of {num_units} sequences or images "
            "to train on; lower it or use a larger set"
        )
    return held
