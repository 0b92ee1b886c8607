"""Example maps: X-ray, reference map, predicted maps and their signed error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from osteoray.report.style import DENSITY_COLOURS, ERROR_COLOURS, INK, new_figure, styled


@dataclass(frozen=True, eq=False)
class Example:
    """One held-out half X-ray.

    Attributes:
        label: patient, X-ray, side and reference value, in lines.
        xray: log attenuation.
        reference: reference map in g/cm².
        predicted: experiment to its map in g/cm².
        captions: experiment to a line of numbers.
    """

    label: str
    xray: Float[np.ndarray, "rows columns"]
    reference: Float[np.ndarray, "rows columns"]
    predicted: dict[str, Float[np.ndarray, "rows columns"]]
    captions: dict[str, str]


@styled
def example_maps(examples: Sequence[Example], error_range_g_cm2: float) -> Figure:
    """One row per example; halves are shown as the network sees them, turned to look like a right hip."""
    names = list(examples[0].predicted)
    columns = 2 + 2 * len(names)
    figure, axes = new_figure(1.65 * columns + 0.9, 2.75 * len(examples) + 1.1, len(examples), columns)
    top = float(np.ceil(max(example.reference.max() for example in examples) * 5) / 5)
    for row, example in zip(axes, examples, strict=True):
        low, high = np.quantile(example.xray, [0.01, 0.995])
        _show(row[0], example.xray, "gray", low, high)
        row[0].set_ylabel(example.label, rotation=0, ha="right", va="center", fontsize=8, labelpad=8, linespacing=1.5)
        density = _show(row[1], example.reference, DENSITY_COLOURS, 0, top)
        for index, name in enumerate(names):
            predicted = example.predicted[name]
            density = _show(row[2 + 2 * index], predicted, DENSITY_COLOURS, 0, top)
            error = predicted - example.reference
            difference = _show(row[3 + 2 * index], error, ERROR_COLOURS, -error_range_g_cm2, error_range_g_cm2)
            row[2 + 2 * index].set_xlabel(example.captions[name], fontsize=7.5, color=INK, loc="left")
    titles = ["X-ray", "Reference (QCT)", *(t for name in names for t in (f"Predicted\n{name}", "Error"))]
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9, loc="center")
    left, right = axes[:, : columns // 2], axes[:, columns // 2 :]
    bar: dict[str, Any] = {"location": "bottom", "aspect": 30, "shrink": 0.8, "pad": 0.02}
    figure.colorbar(density, ax=left, label="Areal density (g/cm²)", **bar)
    figure.colorbar(difference, ax=right, label="Predicted − reference (g/cm²): red over, blue under", **bar)
    return figure


def _show(ax: Axes, image: np.ndarray, colours: str, low: float, high: float):
    shown = ax.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return shown
