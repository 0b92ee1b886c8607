"""Quality of the stages of measurement: one dot per patient, X-ray or side, and the median."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from osteoray.report.style import INK, PALETTE, RULE, hide_unused, new_figure, styled

_PANELS = (
    ("Calibration slope", "mg/cm³ per HU", "calibration", "slope_mg_cm3_per_hu"),
    ("Calibration r²", "", "calibration", "r2"),
    ("Largest rod residual", "mg/cm³", "calibration", "max_residual_mg_cm3"),
    ("Bone volumes", "cm³", "segmentation", "volume"),
    ("Doubt of the network", "variance over bone", "segmentation", "doubt"),
    ("Registration similarity", "gradient correlation", "registration", "similarity"),
    ("Similarity against chance", "z", "registration", "z"),
    ("Disagreement of searches", "mm", "registration", "agreement_mm"),
    ("QCT aBMD", "g/cm²", "densitometry", "abmd_g_cm2"),
)
"""Title, unit, stage and the quantity, which a bone's name may follow."""


@styled
def stage_quality(rows: Sequence[Mapping[str, str]]) -> Figure | None:
    """Charts of stages.tsv; None where it is empty."""
    panels = [(title, unit, groups) for title, unit, stage, name in _PANELS if (groups := _groups(rows, stage, name))]
    if not panels:
        return None
    columns = 3
    lines = -(-len(panels) // columns)
    figure, axes = new_figure(10.0, 2.35 * lines, lines, columns)
    for ax, (title, unit, groups) in zip(axes.flat, panels, strict=False):
        _strip(ax, groups)
        ax.set_title(title)
        ax.set_ylabel(unit)
    hide_unused(axes, len(panels))
    return figure


def _groups(rows: Sequence[Mapping[str, str]], stage: str, name: str) -> dict[str, list[float]]:
    """Values of a quantity by what follows its name (a bone), or by side."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        head, rest = row["quantity"][: len(name)], row["quantity"][len(name) :]
        if row["stage"] == stage and head == name and (not rest or rest.startswith("_")):
            group = rest.strip("_").removesuffix("_cm3") or row["side"]
            groups.setdefault(group.replace("_", " "), []).append(float(row["value"]))
    return groups


def _strip(ax: Axes, groups: Mapping[str, list[float]]) -> None:
    rng = np.random.default_rng(0)
    for place, values in enumerate(groups.values()):
        jitter = rng.uniform(-0.18, 0.18, len(values))
        ax.scatter(place + jitter, values, s=14, color=PALETTE[0], alpha=0.55, linewidths=0)
        ax.plot([place - 0.28, place + 0.28], [np.median(values)] * 2, color=INK, linewidth=1.4)
    labels = list(groups)
    if any(labels):
        turn: dict[str, Any] = {"rotation": 20, "ha": "right"} if sum(map(len, labels)) > 24 else {}
        ax.set_xticks(range(len(labels)), labels, fontsize=7.5, **turn)
    else:
        ax.set_xticks([])
    ax.set_xlim(-0.6, len(labels) - 0.4)
    ax.grid(axis="y", color=RULE, linewidth=0.5)
