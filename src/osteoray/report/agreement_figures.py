"""Scatter, Bland-Altman and per-pose figures of predicted against reference BMD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from osteoray.report.style import INK, MUTED, PALETTE, RULE, hide_unused, new_figure, note, styled

_COLUMNS = 3


@dataclass(frozen=True, eq=False)
class Points:
    """Predicted and reference BMD of an experiment, one per half X-ray with both.

    Attributes:
        name: the experiment.
        predicted_g_cm2: predicted BMD.
        reference_g_cm2: reference BMD.
        poses: pose of each X-ray.
        summary: lines of statistics to print on the scatter.
    """

    name: str
    predicted_g_cm2: Float[np.ndarray, " n"]
    reference_g_cm2: Float[np.ndarray, " n"]
    poses: tuple[str, ...]
    summary: str


@styled
def scatter(experiments: Sequence[Points]) -> Figure:
    """Predicted against reference BMD with the identity line, one panel per experiment."""
    figure, axes = _panels(len(experiments))
    everything = np.concatenate([np.r_[e.predicted_g_cm2, e.reference_g_cm2] for e in experiments])
    low, high = everything.min() - 0.05, everything.max() + 0.05
    colours = _pose_colours(experiments)
    for ax, points in zip(axes.flat, experiments, strict=False):
        ax.plot([low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        _by_pose(ax, points.reference_g_cm2, points.predicted_g_cm2, points.poses, colours)
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", title=points.name)
        ax.set(xlabel="QCT aBMD (g/cm²)", ylabel="BMD predicted from the X-ray (g/cm²)")
        note(ax, points.summary)
    axes.flat[0].legend(loc="lower right", handletextpad=0.2)
    hide_unused(axes, len(experiments))
    return figure


@styled
def bland_altman(experiments: Sequence[Points]) -> Figure:
    """Difference against mean with bias and 95 % limits of agreement, one panel per experiment."""
    figure, axes = _panels(len(experiments), height_in=3.1)
    colours = _pose_colours(experiments)
    reach = 1.15 * max(np.abs(e.predicted_g_cm2 - e.reference_g_cm2).max() for e in experiments) + 0.02
    for ax, points in zip(axes.flat, experiments, strict=False):
        difference = points.predicted_g_cm2 - points.reference_g_cm2
        mean = (points.predicted_g_cm2 + points.reference_g_cm2) / 2
        bias, spread = difference.mean(), 1.96 * difference.std(ddof=1)
        ax.axhspan(bias - spread, bias + spread, color="#eef2f5", zorder=0)
        ax.axhline(0, color=MUTED, linewidth=0.7)
        _by_pose(ax, mean, difference, points.poses, colours)
        for level, text in ((bias, "bias"), (bias + spread, "+1.96 SD"), (bias - spread, "−1.96 SD")):
            ax.axhline(level, color=INK, linewidth=0.9, linestyle="-" if text == "bias" else (0, (4, 3)))
            label = f"{text} {level:+.3f}".replace("-", "−")
            ax.annotate(label, (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 2),
                        textcoords="offset points", ha="right", va="bottom", fontsize=7.5,
                        bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.6})  # fmt: skip
        ax.set(ylim=(-reach, reach), title=points.name)
        ax.set(xlabel="Mean of predicted and QCT (g/cm²)", ylabel="Predicted − QCT (g/cm²)")
    hide_unused(axes, len(experiments))
    return figure


@styled
def error_by_pose(experiments: Sequence[Points]) -> Figure:
    """Signed error in each pose, one column of dots per experiment, with the mean and its standard deviation."""
    poses = sorted({pose for points in experiments for pose in points.poses})
    figure, axes = new_figure(9.0, 3.0)
    ax = axes[0, 0]
    rng = np.random.default_rng(0)
    width = 0.8 / len(experiments)
    for column, points in enumerate(experiments):
        error = points.predicted_g_cm2 - points.reference_g_cm2
        for place, pose in enumerate(poses):
            values = error[np.array(points.poses) == pose]
            if values.size == 0:
                continue
            centre = place + (column - (len(experiments) - 1) / 2) * width
            colour = PALETTE[column % len(PALETTE)]
            jitter = rng.uniform(-0.25, 0.25, values.size) * width
            ax.scatter(centre + jitter, values, s=12, color=colour, alpha=0.55, linewidths=0)
            ax.errorbar(
                centre, values.mean(), values.std(), fmt="_", color=INK, markersize=14, capsize=3, linewidth=1.1
            )
        ax.scatter([], [], s=16, color=PALETTE[column % len(PALETTE)], label=points.name)
    ax.axhline(0, color=MUTED, linewidth=0.7)
    ax.set_xticks(range(len(poses)), poses)
    ax.set(ylabel="Predicted − QCT (g/cm²)", xlim=(-0.6, len(poses) - 0.4))
    ax.grid(axis="y", color=RULE, linewidth=0.5)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _panels(count: int, height_in: float = 3.9) -> tuple[Figure, np.ndarray]:
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    return new_figure(min(4.2 * columns, 11.0), height_in * rows, rows, columns)


def _pose_colours(experiments: Sequence[Points]) -> dict[str, str]:
    poses = sorted({pose for points in experiments for pose in points.poses})
    return {pose: PALETTE[i % len(PALETTE)] for i, pose in enumerate(poses)}


def _by_pose(ax: Axes, x: np.ndarray, y: np.ndarray, poses: tuple[str, ...], colours: dict[str, str]) -> None:
    for pose, colour in colours.items():
        use = np.array(poses) == pose
        ax.scatter(x[use], y[use], s=17, color=colour, alpha=0.75, linewidths=0, label=pose)
