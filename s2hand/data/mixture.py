"""The frames of a training: those of one dataset, or of several, row after row."""

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
from s2hand.data.sample import Batch
from s2hand.errors import DataError


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
    def from_config(cls, config: S2HandConfig) -> "FrameMixture":
        """Read all that a configuration trains on, without what it holds out.

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
        return cls([FrameDataset.from_config(table, config) for table in tables])

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
    columns: dict[str, Any] = {
        field.name: torch.cat([getattr(batch, field.name) for batch in batches])[order]
        for field in fields(Batch)
        if isinstance(getattr(first, field.name), Tensor)
    }
    return replace(first, **columns)
