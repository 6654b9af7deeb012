"""Draws scenes with the CUDA backend's kernels in Triton's interpreter, which needs no GPU.

Run as a program, with TRITON_INTERPRET=1, since the interpreter is chosen when triton is imported:
it reads scenes from one file and writes, to another, their drawings, their gradients and how each
kernel was launched.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from s2hand.rendering import MeshTopology

Scene = dict[str, Any]
"""Mesh, colours and size: points, depth_m, colours, background, faces, height, width, near_m,
cull_back_faces; then the gradients of image, silhouette and depth, by name."""
OUTPUTS = ("image", "silhouette", "depth_m")
INPUTS = ("points", "depth_m", "colours")


def draw_scene(
    draw: Callable[..., tuple[Tensor, ...]], scene: Scene, device: str = "cpu"
) -> dict[str, Tensor]:
    """Return the outputs, the face ids, and the gradients of the inputs."""
    inputs = [scene[name].to(device).requires_grad_() for name in INPUTS]
    topology = MeshTopology.from_faces(scene["faces"], inputs[0].shape[1]).to(device)
    rest = {name: scene[name] for name in ("height", "width", "near_m", "cull_back_faces")}
    *outputs, face_id = draw(*inputs, scene["background"].to(device), topology, **rest)
    gradients = torch.autograd.grad(
        outputs, inputs, [scene[f"{name}_gradient"].to(device) for name in OUTPUTS]
    )
    drawn = dict(zip(OUTPUTS, outputs, strict=True)) | {"face_id": face_id}
    drawn |= {f"{name}_gradient": g for name, g in zip(INPUTS, gradients, strict=True)}
    return {name: tensor.detach().cpu() for name, tensor in drawn.items()}


def main(source: str, target: str) -> None:
    import triton.language as tl
    from triton.runtime import interpreter
    from triton.runtime.jit import mangle_type

    from s2hand.rendering import cuda, cuda_kernels

    # The interpreter puts its own operations into triton.language again at every call of a function
    # on the device, which is half of its time; once is enough.
    interpreter._patch_lang(tl.sum.fn)
    interpreter.InterpretedFunction.__call__ = lambda self, *arguments, **options: self.rewrite()(
        *arguments, **options
    )

    launches: dict[str, dict[str, Any]] = {}
    for name, kernel in vars(cuda_kernels).items():
        if getattr(kernel, "__module__", None) != "triton.runtime.interpreter":
            continue
        if kernel.fn.__module__ != cuda_kernels.__name__:
            continue

        def note(*values: Any, name: str = name, kernel: Any = kernel, **options: Any) -> None:
            arguments = dict(zip(kernel.arg_names, values, strict=False))
            launches[name] = {key: mangle_type(value) for key, value in arguments.items()} | options

        kernel.add_pre_run_hook(note)

    def draw(*arguments: Any, **rest: Any) -> tuple[Tensor, ...]:
        # Behind the check that tensors are on a GPU.
        outputs: tuple[Tensor, ...] = cuda._Draw.apply(*arguments, *rest.values())
        return outputs

    drawn = {name: draw_scene(draw, scene) for name, scene in torch.load(source).items()}
    torch.save({"drawn": drawn, "launches": launches}, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
