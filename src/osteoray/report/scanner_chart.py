"""Control chart of every scanner and protocol: slope and intercept of each scan, in order of enrolment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from osteoray.report.style import INK, MUTED, PALETTE, new_figure, note, styled

PANELS = (
    ("slope_mg_cm3_per_hu", "Slope, mg/cm³ per HU"),
    ("intercept_mg_cm3", "Intercept, mg/cm³"),
)


@styled
def scanner_chart(rows: Sequence[Mapping]) -> Figure:
    """Draw the control chart.

    Args:
        rows: of `control_rows`, sorted by protocol.
    """
    groups = [(key, list(group)) for key, group in groupby(rows, key=lambda row: _protocol(row))]
    figure, axes = new_figure(8.6, 2.3 * max(len(groups), 1) + 0.3, max(len(groups), 1), len(PANELS))
    if not groups:
        for ax in axes.flat:
            ax.axis("off")
        note(axes.flat[0], "No CT was calibrated by a phantom.")
        return figure
    for line, (protocol, scans) in zip(axes, groups, strict=True):
        for ax, (name, label) in zip(line, PANELS, strict=True):
            _panel(ax, scans, name)
            ax.set(ylabel=label, xlabel="Scan, in order of enrolment")
        line[0].set_title(f"{protocol}: {len(scans)} scans")
    return figure


def _protocol(row: Mapping) -> str:
    kvp = f"{row['kvp']:g} kV" if row["kvp"] else "unknown kV"
    return f"{row['scanner'] or 'unknown scanner'}, {kvp}, kernel {row['kernel'] or 'unknown'}"


def _panel(ax: Axes, scans: Sequence[Mapping], name: str) -> None:
    number = np.array([scan["scan"] for scan in scans])
    values = np.array([scan[name] for scan in scans], float)
    good = np.array([scan["in_control"] == "yes" for scan in scans])
    if scans[0].get(f"{name}_low") is not None:
        low, high = scans[0][f"{name}_low"], scans[0][f"{name}_high"]
        ax.axhspan(low, high, color=PALETTE[0], alpha=0.07, linewidth=0)
        for level, style in ((low, "--"), ((low + high) / 2, "-"), (high, "--")):
            ax.axhline(level, color=MUTED, linewidth=0.8, linestyle=style)
        ax.annotate("mean ± 3 SD", (1.0, high), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7)
    else:
        note(ax, "too few scans for limits")
    ax.plot(number, values, color=PALETTE[0], linewidth=0.7, alpha=0.5)
    ax.plot(number[good], values[good], "o", color=PALETTE[0], markersize=3.5)
    ax.plot(number[~good], values[~good], "D", color=PALETTE[1], markersize=5)
    for scan in (scan for scan in scans if scan["in_control"] != "yes"):
        place = (scan["scan"], scan[name])
        ax.annotate(scan["patient_id"], place, (5, 4), textcoords="offset points", fontsize=7, color=INK)
    ax.margins(x=0.04, y=0.25)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
