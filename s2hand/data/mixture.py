"""The frames of a training: those of one dataset, or of several, row after row."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from s2hand.config import S2HandConfig
from s2hand.data.build import load_extra, load_train
from s2hand.data.dataset import FrameDataset
from s2hand.data.packing import PackingProgress
from s2hand.data.sample import Batch
from s2hand.data.transfer import HELD_SHARE, free_bytes, to_device
from s2hand.errors import DataError

_LOG = logging.getLogger(__name__)


class FrameMixture:
    """Gives batches of the frames of one or several datasets; rows are numbered through.

    Each dataset crops and augments its own frames, so that image collections and sequences mix. A
    sequence's name holds its dataset's place: those of one name in two datasets stay two.
    """

    def __init__(self, parts: Sequence[FrameDataset]) -> None:
        """Put the rows of ``parts`` one after the other."""
        self._parts = tuple(parts)
        self._starts = np.array([0, *accumulate(map(len, self._parts))])
        tables = [part.table for part in self._parts]
        several = len(tables) > 1
        self.sample_ids = tuple(name for table in tables for name in table.sample_ids)
        self.sequences = tuple(
            f"{place}:{name}" if several else name
            for place, table in enumerate(tables)
            for name in table.sequences
        )
        """Name of each row's sequence; that of images of a collection is empty, or a place."""
        self.frames = np.concatenate([table.frames for table in tables])
        """True frame number of each row."""

    @classmethod
    def from_config(
        cls, config: S2HandConfig, *, progress: PackingProgress | None = None
    ) -> "FrameMixture":
        """Read all that a configuration trains on, without what it holds out.

        Args:
            config: Names the datasets.
            progress: Is told of the packing of images that are not packed already.

        Raises:
            DataError: If a file is missing, truncated, or does not fit the others, or a set lacks
                true joints that the configuration asks for.
        """
        tables = (load_train(config), *load_extra(config))
        for name, table in zip(config.data.training_datasets, tables, strict=True):
            if config.data.supervision == "3d" and table.joints is None:
                raise DataError(
                    f"data.supervision='3d' needs true joints of every training set, and the "
                    f"{name} set has none; complete its download, or train on keypoints ('2d')"
                )
        return cls([FrameDataset.from_config(table, config, progress=progress) for table in tables])

    def to(self, device: str) -> "FrameMixture":
        """Return the same frames, whose batches are made on a device.

        The packed images of all datasets are brought there now, if they take no more than
        ``HELD_SHARE`` of the memory that is free there; else each batch brings its own.

        Args:
            device: A torch device string.
        """
        place = torch.empty(0, device=device).device  # 'cuda' with the number that is meant
        needed, free = sum(part.pixels.num_bytes for part in self._parts), free_bytes(place)
        is_held = needed <= HELD_SHARE * free
        if place.type != "cpu":
            _LOG.info(
                "packed images of %.1f GB are %s: %.1f GB are free there, of which they may "
                "take a third",
                needed / 1e9,
                f"held on {place}" if is_held else f"brought to {place} batch by batch",
                free / 1e9,
            )
        return FrameMixture([part.to(place, holds_pixels=is_held) for part in self._parts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batch(
        self,
        indices: Int[np.ndarray, "batch"] | Sequence[int],
        *,
        clip_length: int = 1,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Return the frames of the given rows, in their order; see ``FrameDataset.batch``.

        The datasets draw from the generator one after the other. The frames of a clip must be of
        one dataset.
        """
        rows = np.asarray(indices, np.int64)
        part_of = np.searchsorted(self._starts, rows, side="right") - 1
        places, batches = [], []
        for number, part in enumerate(self._parts):
            chosen = np.flatnonzero(part_of == number)
            if len(chosen):
                start = int(self._starts[number])
                batch = part.batch(
                    rows[chosen] - start, clip_length=clip_length, generator=generator
                )
                batches.append(replace(batch, sample_index=batch.sample_index + start))
                places.append(chosen)
        return _joined(batches, np.concatenate(places))


def _joined(batches: Sequence[Batch], places: Int[np.ndarray, "batch"]) -> Batch:
    """Join batches, and bring their frames to the places that they have in the whole."""
    first, *others = batches
    if not others:
        return first
    order = torch.from_numpy(np.argsort(places))
    columns: dict[str, Any] = {}
    for field in fields(Batch):
        if isinstance(getattr(first, field.name), Tensor):
            whole = torch.cat([getattr(batch, field.name) for batch in batches])
            columns[field.name] = whole[to_device(order, whole.device)]
    return replace(first, **columns)
