"""Rendering of triangle meshes, differentiable, on the CPU and with CUDA."""

from s2hand.rendering.lighting import Lighting, shade
from s2hand.rendering.rasterise import Raster, interpolate, rasterise
from s2hand.rendering.render import Rendering, render
from s2hand.rendering.topology import MeshTopology

__all__ = [
    "Lighting",
    "MeshTopology",
    "Raster",
    "Rendering",
    "interpolate",
    "rasterise",
    "render",
    "shade",
]
