"""Picture of a calibration: slices with the circles that were read, the line, its residuals, and drift along z."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from osteoray.imaging.volume import Volume
from osteoray.report.style import INK, MUTED, PALETTE, RULE, new_figure, note, styled

WINDOW_HU = (-150.0, 400.0)
CROP_MM = (200.0, 72.0)
"""Width and height of what a slice shows around the phantom."""
SHARES = (0.9, 0.5, 0.1)
"""Where along the used length slices are shown."""
READ = "#f7c948"
BLOCK_MM = 12.0
"""Length over which the reading along z is averaged for the eye."""


@styled
def phantom_picture(
    volume: Volume,
    centres_mm: Float[np.ndarray, "levels k 2"],
    slice_hu: Float[np.ndarray, "levels k"],
    radius_mm: float,
    core_fraction: float,
    facts: Mapping,
    codes: tuple[str, ...],
    protocol: str,
) -> Figure:
    """Draw a calibration by a phantom.

    Args:
        volume: HU on an axial grid.
        centres_mm: LPS (y, x) of every level that was used, in every slice.
        slice_hu: what was read there; NaN in slices that were not used.
        radius_mm: of a rod.
        core_fraction: part of it that was averaged.
        facts: of the calibration's manifest.
        codes: of its findings.
        protocol: scanner, tube voltage and kernel in words.
    """
    figure, axes = new_figure(11.0, 6.4, 3, 2)
    low_mm, high_mm = facts["used_z_mm"]
    for ax, share in zip(axes[:, 0], SHARES, strict=True):
        _slice(ax, volume, low_mm + share * (high_mm - low_mm), centres_mm, radius_mm, core_fraction, facts)
    _line(axes[0, 1], facts)
    _residuals(axes[1, 1], facts)
    _along_z(axes[2, 1], volume, slice_hu, facts)
    _title(figure, facts, codes, protocol)
    return figure


@styled
def fallback_picture(facts: Mapping, codes: tuple[str, ...], protocol: str) -> Figure:
    """Draw a calibration without a usable phantom: its line, and the tissues that it goes through if it has any.

    Args:
        facts: of the calibration's manifest.
        codes: of its findings.
        protocol: scanner, tube voltage and kernel in words.
    """
    figure, axes = new_figure(6.6, 4.2)
    ax = axes[0, 0]
    slope, intercept = facts["slope_mg_cm3_per_hu"], facts["intercept_mg_cm3"]
    hu = np.array([-200.0, 400.0])
    ax.plot(hu, slope * hu + intercept, color=PALETTE[0], linewidth=1.5)
    for name, tissue in facts.get("tissues", {}).items():
        if tissue["measured_hu"] > hu[0]:
            density = slope * tissue["measured_hu"] + intercept
            ax.plot(tissue["measured_hu"], density, "o", color=PALETTE[1])
            told = f"{name}: {tissue['measured_hu']:.0f} HU, physics {tissue['expected_hu']:.0f} HU"
            ax.annotate(told, (tissue["measured_hu"], density), (8, -10), textcoords="offset points", fontsize=8)
    ax.set(xlabel="HU", ylabel="Density, mg/cm³ HA")
    ax.grid(color=RULE, linewidth=0.5)
    _title(figure, facts, codes, protocol)
    return figure


def _title(figure: Figure, facts: Mapping, codes: tuple[str, ...], protocol: str) -> None:
    sign = "+" if facts["intercept_mg_cm3"] >= 0 else "−"
    equation = (
        f"density = {facts['slope_mg_cm3_per_hu']:.4f} · HU {sign} {abs(facts['intercept_mg_cm3']):.2f} mg/cm³ HA"
    )
    source = facts.get("phantom") or f"level: {facts['level']}"
    title = f"{source}: {equation}   {' '.join(codes)}\n{protocol}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)


def _slice(
    ax: Axes,
    volume: Volume,
    z_mm: float,
    centres_mm: Float[np.ndarray, "levels k 2"],
    radius_mm: float,
    core_fraction: float,
    facts: Mapping,
) -> None:
    first_mm, spacing_mm = volume.grid.world_from_index[2, 3], volume.grid.spacing_mm[0]
    k = int(np.clip(round((z_mm - first_mm) / spacing_mm), 0, volume.array.shape[0] - 1))
    (y_mm, x_mm), (pixel_y, pixel_x) = volume.grid.world_from_index[[1, 0], 3], volume.grid.spacing_mm[1:]
    rows, columns = volume.array.shape[1:]
    edges_mm = (x_mm - pixel_x / 2, x_mm + (columns - 0.5) * pixel_x, y_mm + (rows - 0.5) * pixel_y, y_mm - pixel_y / 2)
    ax.imshow(volume.array[k], cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], extent=edges_mm)
    for (y, x), rod in zip(centres_mm[:, k], facts["rods"], strict=True):
        ax.add_patch(Circle((x, y), radius_mm, fill=False, color=READ, linewidth=0.6))
        ax.add_patch(Circle((x, y), core_fraction * radius_mm, fill=False, color=READ, linewidth=1.3))
        place = (x, y - radius_mm - 1.5)
        ax.annotate(f"{rod['density_mg_cm3']:g}", place, ha="center", va="bottom", color=READ, fontsize=8)
    middle_y, middle_x = centres_mm[:, k].mean(axis=0)
    ax.set_xlim(middle_x - CROP_MM[0] / 2, middle_x + CROP_MM[0] / 2)
    ax.set_ylim(middle_y + CROP_MM[1] / 2, middle_y - CROP_MM[1] / 2)
    ax.set(xticks=[], yticks=[], title=f"z {first_mm + spacing_mm * k:.0f} mm, patient right on the left")


def _line(ax: Axes, facts: Mapping) -> None:
    """What was fitted: density on HU, or HU less the rods' water on K2HPO4."""
    hu, density, slab = _levels(facts)
    words = [f"1 − r² {1 - facts['r2']:.1e}"]
    words.append(f"a level left out changes the slope by {100 * facts['leave_one_out_slope_change']:.1f} %")
    x, y, labels = hu, density, ("HU", _own_unit(facts))
    if "own_line" in facts:
        x, y = density, hu - np.array([rod["water_mg_cm3"] for rod in facts["rods"]])
        labels = (_own_unit(facts), "HU less water, mg/cm³")
        words.append(f"{facts['own_line']['slope_mg_cm3_per_hu']:.4f} mg/cm³ K2HPO4 per HU in tissue")
        words.append(f"1 mg/cm³ HA reads {facts['conversion']['k2hpo4_per_ha']:.3f} K2HPO4")
    ends = np.array([x.min(), x.max()])
    ax.plot(ends, np.polyval(np.polyfit(x, y, 1), ends), color=PALETTE[0], linewidth=1.4)
    for kind, marker in ((~slab, "o"), (slab, "s")):
        ax.plot(x[kind], y[kind], marker, color=PALETTE[4], markeredgecolor=INK)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    ax.grid(color=RULE, linewidth=0.5)
    note(ax, "\n".join(words))


def _residuals(ax: Axes, facts: Mapping) -> None:
    _, density, _ = _levels(facts)
    residual = np.array([rod["residual_mg_cm3"] for rod in facts["rods"]])
    order = np.argsort(density)
    names = [f"{value:g}" for value in density[order]]
    reach = max(1.3 * float(np.abs(residual).max()), 2.0)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.bar(range(len(names)), residual[order], color=PALETTE[0], width=0.5)
    ax.set(xticks=range(len(names)), xticklabels=names, ylim=(-reach, reach))
    ax.set(xlabel=f"Level, {_own_unit(facts)}", ylabel="Residual, mg/cm³")


def _along_z(ax: Axes, volume: Volume, slice_hu: Float[np.ndarray, "levels k"], facts: Mapping) -> None:
    """Every level's reading along the body, less its mean: parallel lines are an offset, a fan is a slope."""
    spacing_mm = float(volume.grid.spacing_mm[0])
    used = np.isfinite(slice_hu).all(axis=0)
    length = max(1, round(BLOCK_MM / spacing_mm))
    blocks = np.array_split(np.flatnonzero(used), max(1, int(used.sum()) // length))
    z_mm = [volume.grid.world_from_index[2, 3] + spacing_mm * block.mean() for block in blocks]
    for level, (row, rod) in enumerate(zip(slice_hu, facts["rods"], strict=True)):
        change = [row[block].mean() - row[used].mean() for block in blocks]
        ax.plot(z_mm, change, color=PALETTE[level % len(PALETTE)], linewidth=1.1, label=f"{rod['density_mg_cm3']:g}")
    ax.axhline(0, color=MUTED, linewidth=0.8)
    reach = max(1.15 * float(np.abs(ax.get_ylim()).max()), 4.0)
    ax.set(xlabel="z, mm", ylabel="HU less mean", ylim=(-1.5 * reach, 2 * reach))
    ax.legend(ncols=len(facts["rods"]), loc="lower center", fontsize=7, handlelength=1.2, columnspacing=0.9)
    drift, field = facts["drift"], facts["field"]
    words = f"{facts['used_length_mm']:.0f} mm used; slope changes by {100 * drift['slope_fraction']:.1f} %, "
    words += f"intercept by {drift['offset_mg_cm3']:.1f} mg/cm³"
    if field["tilt_hu"] is not None:
        words += f"\nslab, left less right: {field['tilt_hu']:.1f} HU"
    note(ax, words)


def _levels(facts: Mapping) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = ([rod[key] for rod in facts["rods"]] for key in ("mean_hu", "density_mg_cm3", "is_slab"))
    hu, density, slab = (np.array(column) for column in columns)
    return hu, density, slab


def _own_unit(facts: Mapping) -> str:
    mineral, _ = facts["rods"][0]["unit"].split()
    return f"mg/cm³ {mineral}"
