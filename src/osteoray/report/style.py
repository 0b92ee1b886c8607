"""How every figure of the report looks: light, printable, safe for colour-blind readers."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1f2933", "#66737f", "#d5dbe1"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5B5B")
"""Okabe and Ito's colours that stay apart for colour-blind readers."""

DENSITY_COLOURS = "magma"
"""Colour map of areal density: lightness rises with density."""
ERROR_COLOURS = "RdBu_r"
"""Colour map of signed error: red over, blue under."""

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


styled = mpl.rc_context(_RC)
"""Decorates a function that draws or saves a figure."""


def new_figure(width_in: float, height_in: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes as a 2-D array."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


@styled
def png(figure: Figure, dpi: int) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def hide_unused(axes: np.ndarray, used: int) -> None:
    """Take away the axes of a grid that carry nothing."""
    for ax in axes.flat[used:]:
        ax.axis("off")


def note(ax: Axes, text: str) -> None:
    """A quiet text block in the upper left corner of the axes."""
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", ha="left", fontsize=8, color=INK, linespacing=1.45)
