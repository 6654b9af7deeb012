"""Figures, as plain data for Plotly."""

from s2hand_dashboards.figures.style import Figure

__all__ = ["Figure"]
