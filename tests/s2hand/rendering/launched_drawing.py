"""Launch the CUDA backend's kernels as on an H100, but for the launch itself, and print them.

Run as a program of its own: Triton is told once in a process what it launches on. Its binder, its
choice of a kernel's versions and its compiler are those of a real launch; only the compiled code
goes nowhere.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver, jit

from s2hand.rendering import MeshTopology, cuda


class AbsentGpu:
    """What Triton asks a driver before it launches."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


def main() -> None:
    """Draw and differentiate scenes; write each kernel's versions as JSON: name → assembly."""
    driver.set_active(AbsentGpu())
    versions: dict[str, set[str]] = defaultdict(set)
    launch = jit.JITFunction.run

    def prepare(self: Any, *arguments: Any, grid: Any, warmup: bool, **settings: Any) -> Any:
        kernel = launch(self, *arguments, grid=grid, warmup=True, **settings)
        versions[self.fn.__name__].add(kernel.asm["ptx"])
        return kernel

    jit.JITFunction.run = prepare
    topology = MeshTopology.from_faces(torch.tensor([[0, 1, 2], [0, 2, 3]]), 4)
    for batch, height, width, num_colours, cull in (
        (64, 224, 224, 4, False),
        (1, 1, 1, 4, False),  # Triton treats 1 and multiples of 16 apart
        (2, 97, 98, 2, True),
    ):
        points = torch.rand(batch, 4, 3, requires_grad=True)
        image, silhouette, *_ = cuda._Draw.apply(
            points, points[..., 2], torch.rand(batch, num_colours, 3), torch.zeros(3), topology,
            height, width, 0.01, cull,
        )  # fmt: skip
        (image.sum() + silhouette.sum()).backward()
    Path(sys.argv[1]).write_text(json.dumps({name: sorted(ptx) for name, ptx in versions.items()}))


if __name__ == "__main__":
    main()
