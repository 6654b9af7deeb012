"""What trained models said of each sample: a file per attempt and split, a column per parameter."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.store.beside import path_beside, write_all
from s2hand_platform.store.files import reading
from s2hand_platform.store.lines import check_one_per_sample
from s2hand_platform.store.records import Predictions
from s2hand_platform.store.schema import VERSION, VERSION_KEY

FOLDER = "predictions"
_IDS = "sample_id"
_SHAPE = b"shape"


def write_predictions(
    store: Path, trial_id: str, attempt: int, commit: str, evaluation: Evaluation
) -> list[Path]:
    """Write the predictions of an evaluation as float32, a line per sample.

    Returns:
        The paths; the files mean nothing before the attempt is written.

    Raises:
        StoreError: if an array's rows are not one per sample id, or a file cannot be written; then
            none is left behind.
    """
    return write_all(
        {
            path_beside(store / FOLDER, trial_id, attempt, commit, split): _table(
                evaluation, split, arrays
            )
            for split, arrays in evaluation.predictions.items()
        }
    )


def read_predictions(
    store: Path, trial_id: str, attempt: int, commit: str, split: str
) -> Predictions | None:
    """Read what ``write_predictions`` wrote; None if there is nothing.

    Raises:
        UnusableFile: if the file is damaged, foreign or newer.
        StoreError: if the disk does not give it.
    """
    path = path_beside(store / FOLDER, trial_id, attempt, commit, split)
    try:
        with reading(path) as file:
            table = file.read()
            fields = [field for field in table.schema if field.name != _IDS]
            return Predictions(
                sample_ids=tuple(table[_IDS].to_pylist()),
                arrays={
                    field.name: _array(table[field.name], json.loads(field.metadata[_SHAPE]))
                    for field in fields
                },
            )
    except FileNotFoundError:
        return None


def _table(evaluation: Evaluation, split: str, arrays: Mapping[str, np.ndarray]) -> pa.Table:
    fields = [pa.field(_IDS, pa.string())]
    columns: list[pa.Array] = [pa.array(list(evaluation.sample_ids.get(split, ())), pa.string())]
    for name, values in arrays.items():
        check_one_per_sample(evaluation, split, name, len(values))
        column, shape = _column(np.asarray(values, dtype=np.float32))
        fields.append(pa.field(name, column.type, metadata={_SHAPE: json.dumps(shape)}))
        columns.append(column)
    return pa.table(columns, schema=pa.schema(fields, metadata={VERSION_KEY: str(VERSION)}))


def _column(values: np.ndarray) -> tuple[pa.Array, list[int]]:
    shape = list(values.shape[1:])
    width = math.prod(shape)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, width), shape


def _array(column: pa.ChunkedArray, shape: list[int]) -> np.ndarray:
    values = column.combine_chunks().flatten().to_numpy()
    return np.asarray(values, dtype=np.float32).reshape(len(column), *shape)
