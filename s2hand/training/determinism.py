"""Same seed, same bits: every random number of an epoch follows from where the epoch stands."""

import hashlib

import torch


def derive_seed(seed: int, *parts: int | str) -> int:
    """Derive a seed for one purpose from the trial's seed; other parts give unrelated numbers."""
    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "little")


def use_deterministic_algorithms() -> None:
    """Let torch refuse operations whose result could differ from run to run.

    Equality holds on one machine with one number of threads, which the caller pins
    (``torch.set_num_threads``) and records. On CUDA the caller also sets
    ``CUBLAS_WORKSPACE_CONFIG=:4096:8`` before the first kernel, which older versions of torch
    want; and convolutions are computed in float32 there, not in TF32, unless in bfloat16.
    """
    torch.use_deterministic_algorithms(mode=True, warn_only=torch.cuda.is_available())
    # Nothing here reads memory that it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def seed_epoch(seed: int, stream: str, epoch: int, rank: int) -> torch.Generator:
    """Seed torch's global generator for an epoch, and return one for the epoch's augmentation.

    A resumed training needs no saved generator state: an epoch draws the same numbers whatever
    ran before it in the process.

    Args:
        seed: the training's.
        stream: the stage's, see :func:`s2hand.training.stages.stream_of`.
        epoch: within the stage, from 0.
        rank: the worker's.
    """
    torch.manual_seed(derive_seed(seed, "network", stream, epoch, rank))
    generator = torch.Generator()
    generator.manual_seed(derive_seed(seed, "augmentation", stream, epoch, rank))
    return generator
