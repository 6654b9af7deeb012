"""Rendering of triangle meshes: which face each pixel sees, and where on it."""

from s2hand.rendering.rasterise import Raster, interpolate, rasterise

__all__ = ["Raster", "interpolate", "rasterise"]
