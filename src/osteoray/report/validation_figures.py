"""Doubt of the segmentation network against its agreement with the labels of patients that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from osteoray.report.style import MUTED, PALETTE, RULE, new_figure, styled

KINDS = {"hip": PALETTE[0], "femur": PALETTE[1], "sacrum": PALETTE[2]}
"""Colour of a bone by the last word of its name."""


@styled
def doubt_against_dice(
    rows: Sequence[Mapping[str, str]], summary: Sequence[Mapping[str, str]], max_doubt: float
) -> Figure | None:
    """One dot per bone and patient, and the limit of the verdict; None where no row has both numbers.

    Args:
        rows: of validation.tsv.
        summary: of validation_summary.tsv.
        max_doubt: doubt above which a bone is called uncertain.
    """
    known = [row for row in rows if row["dice"] and row["doubt"]]
    if not known:
        return None
    figure, axes = new_figure(9.6, 3.5, 1, 2)
    for ax, (quantity, label) in zip(axes[0], (("dice", "Dice"), ("asd_mm", "Surface distance (mm)")), strict=True):
        for kind, colour in KINDS.items():
            pairs = [(float(r["doubt"]), float(r[quantity])) for r in known if r["bone"].endswith(kind) and r[quantity]]
            if pairs:
                ax.scatter(*np.array(pairs).T, s=20, color=colour, alpha=0.75, linewidths=0, label=f"{kind}")
        ax.axvline(max_doubt, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        ax.set(xlabel="Doubt (predictive variance over bone)", ylabel=label)
        ax.set_xlim(0, 1.1 * max(max_doubt, *(float(row["doubt"]) for row in known)))
        ax.grid(color=RULE, linewidth=0.5)
    axes[0, 1].legend(loc="upper left")
    whole = next((row for row in summary if row["bone"] == "all" and row["spearman"]), None)
    if whole:
        text = f"Pearson {float(whole['pearson']):.2f}\nSpearman {float(whole['spearman']):.2f}\nn = {whole['n']}"
        text_place = axes[0, 0].text(0.03, 0.05, text, transform=axes[0, 0].transAxes, fontsize=8, linespacing=1.45)
        text_place.set_bbox({"fc": "white", "ec": "none", "alpha": 0.7, "pad": 1})
    return figure
