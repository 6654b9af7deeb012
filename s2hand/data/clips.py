"""Which frames a step sees: shuffled frames, or clips of a sequence."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from s2hand.config import ClipConfig
from s2hand.errors import DataError

_FRAMES_STREAM, _CLIPS_STREAM = 1, 2


class FrameSampler:
    """Shuffles frames into batches of equal size; the rest of an epoch is dropped."""

    def __init__(self, num_frames: int, batch_size: int, seed: int) -> None:
        if num_frames < batch_size:
            raise DataError(
                f"the training set must hold at least one batch of {batch_size} frames, got "
                f"{num_frames}; use more data or a smaller optimiser.batch_size"
            )
        self._num_frames, self._batch_size, self._seed = num_frames, batch_size, seed

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that ``epoch`` returns."""
        return self._num_frames // self._batch_size

    def epoch(self, epoch: int) -> list[Int[np.ndarray, "batch"]]:
        """Return the rows of each batch; a function of the seed and the epoch alone."""
        order = np.random.default_rng([_FRAMES_STREAM, self._seed, epoch]).permutation(
            self._num_frames
        )
        whole = order[: self.batches_per_epoch * self._batch_size]
        return list(whole.reshape(self.batches_per_epoch, self._batch_size))


class ClipSampler:
    """Draws batches of clips: some sequences at random, then a random clip in each.

    A clip is ``num_frames`` frames whose true frame numbers are ``frame_interval`` apart; frames
    that the set lacks are never bridged. A batch takes every sequence once before it takes one
    again. An epoch sees as many frames as the set has, whatever the clips' length.

    References:
        Paper §4.3: "randomly select fixed number of sequences, and sample successive frames".
    """

    def __init__(
        self,
        sequences: Sequence[str],
        frames: Int[np.ndarray, "n"],
        clips: ClipConfig,
        seed: int,
    ) -> None:
        """Find every clip that the set has.

        Raises:
            DataError: If a frame occurs twice, no sequence holds a clip, or the set is smaller
                than a batch.
        """
        self._clips, self._seed = clips, seed
        found = _clip_rows(sequences, frames, clips)
        self._runs = [runs for runs in found.values() if len(runs)]
        if not self._runs:
            raise DataError(
                f"none of {len(found)} sequences holds clips.num_frames={clips.num_frames} frames "
                f"that are clips.frame_interval={clips.frame_interval} apart; shorten the clips or "
                "use longer sequences"
            )
        self.batches_per_epoch = len(frames) // clips.frames_per_batch
        """Number of batches that ``epoch`` returns."""
        if not self.batches_per_epoch:
            raise DataError(
                f"the training set must hold at least clips.frames_per_batch="
                f"{clips.frames_per_batch} frames, got {len(frames)}"
            )

    def epoch(self, epoch: int) -> list[Int[np.ndarray, "batch"]]:
        """Return the rows of each batch, clip after clip; a function of seed and epoch alone."""
        generator = np.random.default_rng([_CLIPS_STREAM, self._seed, epoch])
        return [self._draw(generator) for _ in range(self.batches_per_epoch)]

    def _draw(self, generator: np.random.Generator) -> Int[np.ndarray, "batch"]:
        wanted = self._clips.frames_per_batch // self._clips.num_frames
        rounds = -(-wanted // len(self._runs))
        chosen = np.concatenate([generator.permutation(len(self._runs)) for _ in range(rounds)])[
            :wanted
        ]
        runs = [self._runs[sequence] for sequence in chosen]
        return np.concatenate([run[generator.integers(len(run))] for run in runs])


def sequences_with_clips(
    sequences: Sequence[str], frames: Int[np.ndarray, "n"], clips: ClipConfig
) -> tuple[str, ...]:
    """Name the sequences that are long enough, and have few enough gaps, to hold a clip.

    Raises:
        DataError: If a frame occurs twice.
    """
    found = _clip_rows(sequences, frames, clips)
    return tuple(name for name, runs in found.items() if len(runs))


def _clip_rows(
    sequences: Sequence[str], frames: Int[np.ndarray, "n"], clips: ClipConfig
) -> dict[str, Int[np.ndarray, "runs frames"]]:
    """Return every clip of every sequence, as rows of the table."""
    rows_of: dict[str, dict[int, int]] = {}
    for row, (sequence, frame) in enumerate(zip(sequences, frames.tolist(), strict=True)):
        if rows_of.setdefault(sequence, {}).setdefault(frame, row) != row:
            raise DataError(
                f"sequence '{sequence}' must list every frame once, {frame} occurs twice"
            )
    steps = range(0, clips.num_frames * clips.frame_interval, clips.frame_interval)
    return {
        name: np.array(
            [
                [row_of[frame + step] for step in steps]
                for frame in sorted(row_of)
                if all(frame + step in row_of for step in steps)
            ],
            dtype=np.int64,
        ).reshape(-1, clips.num_frames)
        for name, row_of in rows_of.items()
    }
