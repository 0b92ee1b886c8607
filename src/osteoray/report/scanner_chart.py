"""Control chart of every scanner, protocol and phantom: slope and intercept of each scan, in order of enrolment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from osteoray.report.style import INK, MUTED, PALETTE, new_figure, note, styled

PANELS = (
    ("slope_mg_cm3_per_hu", "Slope, mg/cm³ per HU"),
    ("intercept_mg_cm3", "Intercept, mg/cm³"),
)

PLACES_PT = tuple((side * x, y) for x in (5, 12, 20) for y in (5, -6, 14, -15, 23, -24) for side in (1, -1))
"""Where a label may stand beside its scan, nearest first."""


@styled
def scanner_chart(rows: Sequence[Mapping]) -> Figure:
    """Draw the control chart.

    Args:
        rows: of `control_rows`, sorted by protocol and phantom.
    """
    groups = [(key, list(group)) for key, group in groupby(rows, key=_group)]
    figure, axes = new_figure(8.6, 2.3 * max(len(groups), 1) + 0.3, max(len(groups), 1), len(PANELS))
    if not groups:
        for ax in axes.flat:
            ax.axis("off")
        note(axes.flat[0], "No CT was calibrated by a phantom.")
        return figure
    for line, (title, scans) in zip(axes, groups, strict=True):
        for ax, (name, label) in zip(line, PANELS, strict=True):
            _panel(ax, scans, name)
            ax.set(ylabel=label, xlabel="Scan, in order of enrolment")
        line[0].set_title(f"{title}: {len(scans)} scans")
    figure.draw_without_rendering()  # Only now do the axes have the size that labels must fit in.
    for line, (_, scans) in zip(axes, groups, strict=True):
        for ax, (name, _) in zip(line, PANELS, strict=True):
            _label(ax, scans, name)
    return figure


def _group(row: Mapping) -> str:
    kvp = f"{row['kvp']:g} kV" if row["kvp"] else "unknown kV"
    return f"{row['scanner'] or 'unknown scanner'}, {kvp}, kernel {row['kernel'] or 'unknown'}, {row['phantom']}"


def _panel(ax: Axes, scans: Sequence[Mapping], name: str) -> None:
    number = np.array([scan["scan"] for scan in scans])
    values = np.array([scan[name] for scan in scans], float)
    good = np.array([scan["in_control"] == "yes" for scan in scans])
    if scans[0].get(f"{name}_low") is not None:
        low, mean, high = (scans[0][f"{name}_{limit}"] for limit in ("low", "mean", "high"))
        ax.axhspan(low, high, color=PALETTE[0], alpha=0.07, linewidth=0)
        for level, style in ((low, "--"), (mean, "-"), (high, "--")):
            ax.axhline(level, color=MUTED, linewidth=0.8, linestyle=style)
        ax.annotate("mean ± 3 SD", (1.0, high), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7)
    else:
        note(ax, "too few scans for limits")
    ax.plot(number, values, color=PALETTE[0], linewidth=0.7, alpha=0.5)
    ax.plot(number[good], values[good], "o", color=PALETTE[0], markersize=3.5)
    ax.plot(number[~good], values[~good], "D", color=PALETTE[1], markersize=5)
    ax.margins(x=0.04, y=0.25)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _label(ax: Axes, scans: Sequence[Mapping], name: str) -> None:
    """Name the scans out of control, each at the nearest place where it covers neither a label nor such a scan.

    Where a crowd leaves no room, the rest is counted instead; the table names them all.
    """
    named = [scan for scan in scans if scan["in_control"] != "yes"]
    points = ax.transData.transform(np.array([(scan["scan"], scan[name]) for scan in named]).reshape(-1, 2))
    # Texts that stand in the axes already: the caption of the limits, or the note that there are none.
    taken = [text.get_window_extent() for text in ax.texts] + [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in points]
    left_out = 0
    for scan in named:
        label = ax.annotate(
            scan["patient_id"], (scan["scan"], scan[name]), (0, 0), textcoords="offset points", fontsize=7, color=INK,
            va="center", arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
        label.set_in_layout(False)
        box = _free_place(label, ax.get_window_extent(), taken)
        if box is None:
            label.remove()
            left_out += 1
        else:
            taken.append(box)
    if left_out:
        ax.set_xlabel(f"{ax.get_xlabel()}; {left_out} more out of control")


def _free_place(label: Annotation, inside: Bbox, taken: Sequence[Bbox]) -> Bbox | None:
    """Move a label to the first of `PLACES_PT` that is free, and give its extent; None if there is none."""
    for x_pt, y_pt in PLACES_PT:
        label.set_position((x_pt, y_pt))
        label.set_horizontalalignment("left" if x_pt > 0 else "right")
        label.get_window_extent()  # Moves the text; with its arrow, which may cross others.
        box = Text.get_window_extent(label).padded(2)
        within = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if within and not any(box.overlaps(other) for other in taken):
            return box
    return None
