"""Training curves: every logged quantity against the epoch, one line per fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from osteoray.report.style import PALETTE, RULE, hide_unused, new_figure, styled

_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Curve:
    """The log of one training.

    Attributes:
        name: the experiment; its folds share a colour.
        epochs: epoch of each row.
        losses: quantity to its values.
    """

    name: str
    epochs: Float[np.ndarray, " n"]
    losses: dict[str, Float[np.ndarray, " n"]]


@styled
def training_curves(curves: Sequence[Curve]) -> Figure:
    """One panel per quantity; the vertical axis is logarithmic where all values are positive."""
    quantities = list(dict.fromkeys(quantity for curve in curves for quantity in curve.losses))
    names = list(dict.fromkeys(curve.name for curve in curves))
    columns = min(len(quantities), _COLUMNS)
    rows = -(-len(quantities) // columns)
    figure, axes = new_figure(2.75 * columns, 2.2 * rows + 0.4, rows, columns)
    for ax, quantity in zip(axes.flat, quantities, strict=False):
        shown = [curve for curve in curves if quantity in curve.losses]
        for curve in shown:
            colour = PALETTE[names.index(curve.name) % len(PALETTE)]
            ax.plot(curve.epochs, curve.losses[quantity], color=colour, linewidth=1.1, alpha=0.85)
        if all((curve.losses[quantity] > 0).all() for curve in shown):
            ax.set_yscale("log")
        ax.set(title=quantity.replace("_", " "), xlabel="Epoch")
        ax.grid(axis="y", color=RULE, linewidth=0.5)
    handles = [
        axes.flat[0].plot([], [], color=PALETTE[i % len(PALETTE)], label=name)[0] for i, name in enumerate(names)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), 4), frameon=False)
    hide_unused(axes, len(quantities))
    return figure
