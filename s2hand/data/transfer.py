"""From this machine's memory to the device of a training: tensors, and packed pictures."""

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

HELD_SHARE = 1 / 3
"""Share of a device's free memory that packed pictures may take; the rest is the training's."""
_IMAGES_PER_COPY = 256


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; to CUDA it is copied without waiting until it is there."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type == "cuda")


def free_bytes(device: torch.device) -> int:
    """Return how much memory of its own a device has free; a CPU has none beside this machine's."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


class PackedPixels:
    """Packed pictures: on the device where batches are made of them, or brought there in parts."""

    def __init__(
        self,
        stored: UInt8[np.ndarray, "n 3 side side"],
        device: torch.device | None = None,
        *,
        is_held: bool = False,
    ) -> None:
        """Take pictures from memory or from a mapped file.

        Args:
            stored: The pictures.
            device: Where ``take`` leaves them; None: the CPU.
            is_held: Whether all are brought there now.
        """
        self._stored = stored
        self.device = device or torch.device("cpu")
        self._held = self._copy_all() if is_held else None

    @property
    def num_bytes(self) -> int:
        """Size of all."""
        return self._stored.nbytes

    def to(self, device: torch.device, *, is_held: bool) -> "PackedPixels":
        """Return the same pictures for another device."""
        return PackedPixels(self._stored, device, is_held=is_held)

    def take(self, numbers: Int[np.ndarray, "batch"]) -> UInt8[Tensor, "batch 3 side side"]:
        """Return some of the pictures, on the device; no result waits for a copy to CUDA."""
        if self._held is not None:
            return self._held[to_device(torch.from_numpy(numbers), self.device)]
        shape = (len(numbers), *self._stored.shape[1:])
        # What is pinned can be copied while the device computes; torch uses such memory again.
        found = torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        np.take(self._stored, numbers, axis=0, out=found.numpy(), mode="clip")  # else it buffers
        return to_device(found, self.device)

    def _copy_all(self) -> UInt8[Tensor, "n 3 side side"]:
        held = torch.empty(self._stored.shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(held), _IMAGES_PER_COPY):
            part = slice(start, start + _IMAGES_PER_COPY)
            held[part] = torch.from_numpy(np.array(self._stored[part])).to(self.device)
        return held
