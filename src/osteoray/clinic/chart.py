"""Where a patient's values lie: among the QCT values of the cohort, or against a DXA reference where that is allowed.

DXA reference lines are drawn only for DXA-equivalent values. Against a value on the QCT scale they would suggest a
T-score that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from osteoray.clinic.record import Estimate
from osteoray.clinic.sheet import ACCENT, INK, RULE

SIDE_STYLE = {"right": ("o", "#0072B2"), "left": ("s", "#D55E00")}
"""Marker and colour of a side."""


@dataclass(frozen=True)
class ReferenceLines:
    """Levels of a young adult reference on the DXA scale, in g/cm²."""

    name: str
    mean_g_cm2: float
    minus_1_g_cm2: float
    minus_2_5_g_cm2: float


def draw_cohort_chart(
    ax: Axes, cohort: Sequence[tuple[float, float]], age_years: float, estimates: dict[str, Estimate]
) -> None:
    """Age against aBMD on the QCT scale: the cohort's QCT values as dots, the patient's estimates with intervals.

    Args:
        ax: where to draw.
        cohort: age in years and QCT aBMD in g/cm² of every other measured hip.
        age_years: of the patient.
        estimates: side to estimate.
    """
    if cohort:
        ages, values = zip(*cohort, strict=True)
        ax.scatter(ages, values, s=8, color="#aab4bd", linewidths=0, label="QCT of other hips in the cohort")
    _estimates(ax, age_years, estimates)
    ax.set_ylabel("aBMD, QCT scale (g/cm²)", fontsize=7.5)


def draw_reference_chart(ax: Axes, lines: ReferenceLines, age_years: float, estimates: dict[str, Estimate]) -> None:
    """Age against DXA-equivalent BMD with the levels of the young adult reference."""
    levels = ((lines.mean_g_cm2, "mean"), (lines.minus_1_g_cm2, "T −1.0"), (lines.minus_2_5_g_cm2, "T −2.5"))
    for level, name in levels:
        ax.axhline(level, color=ACCENT, linewidth=0.8, linestyle="-" if name == "mean" else (0, (4, 3)))
        ax.annotate(name, (0.99, level), xycoords=("axes fraction", "data"), xytext=(0, 1.5),
                    textcoords="offset points", ha="right", fontsize=6.5, color=ACCENT)  # fmt: skip
    _estimates(ax, age_years, estimates)
    ax.set_ylabel("DXA-equivalent BMD (g/cm²)", fontsize=7.5)


def _estimates(ax: Axes, age_years: float, estimates: dict[str, Estimate]) -> None:
    for side, estimate in estimates.items():
        marker, colour = SIDE_STYLE[side]
        shift = 0.0 if len(estimates) == 1 else (-0.7 if side == "right" else 0.7)
        middle = estimate.value_g_cm2
        reach = [[middle - estimate.low_g_cm2], [estimate.high_g_cm2 - middle]]
        ax.errorbar(age_years + shift, middle, yerr=reach, fmt=marker, color=colour, markersize=6, capsize=3,
                    linewidth=1.3, label=f"{side.capitalize()} hip, from the X-ray", zorder=5)  # fmt: skip
    ax.set_xlabel("Age (years)", fontsize=7.5)
    ax.tick_params(labelsize=7, length=2.5)
    ax.grid(color=RULE, linewidth=0.4)
    ax.set_axisbelow(True)
    for side_name in ("top", "right"):
        ax.spines[side_name].set_visible(False)
    low, high = ax.get_xlim()
    middle_age, half = (low + high) / 2, max((high - low) / 2, 12)
    ax.set_xlim(middle_age - half, middle_age + half)
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.5), max(high, 1.2))
    if not ax.get_legend_handles_labels()[1]:
        return
    ax.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False,
                       handletextpad=0.3, columnspacing=1.0, labelcolor=INK)  # fmt: skip
