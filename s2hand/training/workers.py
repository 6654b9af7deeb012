"""The workers of one training: what they add up, share and decide together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from s2hand.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """This worker among its fellows; alone, every operation is the identity.

    Raises:
        ConfigurationError: if ``torch.distributed`` does not connect as many workers as are meant.
    """

    rank: int
    world_size: int

    def __post_init__(self) -> None:
        connected = dist.get_world_size() if dist.is_initialized() else 1
        if connected != self.world_size:
            raise ConfigurationError(
                f"optimiser.world_size={self.world_size} needs as many processes connected by "
                f"torch.distributed, got {connected}; start the training through the platform"
            )

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over the workers, in one message."""
        if self.world_size == 1 or not tensors:
            return
        bucket = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(bucket)
        parts = bucket.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def copy_from_first(self, model: nn.Module) -> None:
        """Give every worker the first worker's weights and buffers."""
        if self.world_size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def first_says(self, answer: bool) -> bool:  # noqa: FBT001
        """Return the first worker's answer on every worker."""
        answers = [answer]
        if self.world_size > 1:
            dist.broadcast_object_list(answers, src=0)
        return answers[0]

    def gather(self, names: Sequence[str]) -> list[str]:
        """Join every worker's names, in the order of the workers."""
        if self.world_size == 1:
            return list(names)
        parts: list[list[str]] = [[] for _ in range(self.world_size)]
        dist.all_gather_object(parts, list(names))
        return [name for part in parts for name in part]

    def wait(self) -> None:
        """Wait until every worker is here."""
        if self.world_size > 1:
            dist.barrier()
