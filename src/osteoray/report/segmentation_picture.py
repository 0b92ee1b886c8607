"""Picture of a segmentation: contours on slices, landmarks of the femurs, and the surfaces of the bones."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import PROXIMAL_FEMUR
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume
from osteoray.report.body_planes import PIXEL_MM, Plane, X, Y, Z, axial_planes, coronal_plane, femur_planes
from osteoray.report.segmented import COLOURS, Segmented, focus
from osteoray.report.style import INK, MUTED, styled
from osteoray.report.surface_rendering import render_surfaces, view_grid

LANDMARK = "#ffffff"
DOUBT = "#ff2d95"
DOUBT_VARIANCE = (0.03, 0.13)
"""Predictive variance from which doubt is painted, and at which it hides the CT."""
WINDOW_HU = (-150.0, 750.0)
SURFACE_PIXEL_MM = 1.0
WIDTH_IN, DPI = 11.5, 100
ROW_IN = (3.5, 3.3)
TITLE_IN, GAP_IN, LABEL_IN = 0.62, 0.06, 0.19
HEIGHT_IN = sum(ROW_IN) + TITLE_IN + 2 * GAP_IN


@styled
def segmentation_picture(seen: Segmented, title: str, words: str) -> Figure:
    """Draw a patient's segmentation.

    Args:
        seen: what is drawn.
        title: patient, method and verdict.
        words: findings and numbers, one or two lines.
    """
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN))
    FigureCanvasAgg(figure)
    figure.text(GAP_IN / WIDTH_IN, 1 - 0.05 / HEIGHT_IN, title, va="top", fontsize=11.5, fontweight="bold", color=INK)
    figure.text(GAP_IN / WIDTH_IN, 1 - 0.28 / HEIGHT_IN, words, va="top", fontsize=9, color=MUTED, linespacing=1.25)
    focus_mm = focus(seen)
    low, high = 0.0, ROW_IN[1] + GAP_IN

    def place(x: float, y: float, panel_in: float, plane: Plane) -> float:
        """Draw a cut at a place in inches; the next place to its right."""
        width_in = panel_in * plane.size_mm[1] / plane.size_mm[0]
        draw_cut(_panel(figure, (x, y, width_in, panel_in), plane.title, "black"), plane, seen)
        return x + width_in + GAP_IN

    panel_in = ROW_IN[0] - LABEL_IN
    half_in = (panel_in - LABEL_IN) / 2
    heads, trochanters = axial_planes(focus_mm)
    place(GAP_IN, high + half_in + LABEL_IN, half_in, heads)
    x = place(GAP_IN, high, half_in, trochanters)
    x = place(x, high, panel_in, coronal_plane(focus_mm, seen.top_mm))
    draw_surfaces(_panel(figure, (x, high, WIDTH_IN - x - GAP_IN, panel_in), "Anterior", "white"), 0.0, seen)
    x, panel_in = GAP_IN, ROW_IN[1] - LABEL_IN
    for plane in femur_planes(seen, focus_mm):
        x = place(x, low, panel_in, plane)
    last = (x, low, WIDTH_IN - x - GAP_IN, panel_in)
    draw_surfaces(_panel(figure, last, "Posterior oblique", "white"), 205.0, seen)
    return figure


def small_png(figure: Figure) -> bytes:
    """The figure as a PNG with few colours, the same bytes for the same figure."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    image = Image.open(buffer).convert("RGB")
    image = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    small = BytesIO()
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def _panel(figure: Figure, place_in: tuple[float, float, float, float], title: str, face: str) -> Axes:
    """Bare axes at left, bottom, width and height in inches."""
    x, y, width, height = place_in
    ax = figure.add_axes((x / WIDTH_IN, y / HEIGHT_IN, width / WIDTH_IN, height / HEIGHT_IN))
    ax.set(xticks=[], yticks=[], facecolor=face)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title, fontsize=8.5, fontweight="normal", color=INK, pad=2.5)
    return ax


def draw_cut(ax: Axes, plane: Plane, seen: Segmented) -> None:
    """A cut with contours, doubt and landmarks on it."""
    grid = plane.grid()
    rows, columns = grid.shape[1:]
    hu = resample(seen.ct_hu, grid, outside=-1000.0).array[0]
    ax.imshow(hu, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], interpolation="bilinear")
    if seen.uncertainty is not None:
        _paint_doubt(ax, resample(seen.uncertainty, grid).array[0])
    for outlined in seen.outlined:
        share = resample(outlined.mask, grid).array[0]
        if share.max() > 0.5 > share.min():
            ax.contour(share, [0.5], colors=[outlined.colour], linewidths=outlined.width)
    for femur in seen.femurs.values():
        _landmarks(ax, femur, grid, in_neck_plane=plane.title.startswith("Neck"))
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    for text, x, align in zip(plane.marks, (0.015, 0.985), ("left", "right"), strict=True):
        ax.text(x, 0.5, text, transform=ax.transAxes, ha=align, va="center", color="white", fontsize=9)


def _paint_doubt(ax: Axes, variance: Float[np.ndarray, "rows columns"]) -> None:
    low, high = DOUBT_VARIANCE
    layer = np.empty((*variance.shape, 4), np.float32)
    layer[..., :3] = to_rgb(DOUBT)
    layer[..., 3] = np.clip((variance - low) / (high - low), 0, 0.85)
    ax.imshow(layer, interpolation="bilinear")


def _landmarks(ax: Axes, femur: Mapping, grid: VoxelGrid, in_neck_plane: bool) -> None:
    """The head's sphere where the plane cuts it; in a femur's own plane its axes and trochanter too."""
    head_mm, radius_mm = np.array(femur["head_centre_mm"]), femur["head_radius_mm"]
    depth, row, column = apply_affine(grid.index_from_world, head_mm)
    off_mm = depth * grid.spacing_mm[0]
    if abs(off_mm) < radius_mm:
        circle = np.sqrt(radius_mm**2 - off_mm**2) / PIXEL_MM
        ax.add_patch(Circle((column, row), circle, fill=False, color=LANDMARK, linewidth=0.8, linestyle=(0, (4, 3))))
    if in_neck_plane and abs(off_mm) < 5.0:
        ax.plot(column, row, "+", color=LANDMARK, markersize=7, markeredgewidth=1.0)
        for ends in axes_mm(femur):
            _line(ax, ends, grid)
        _, row, column = apply_affine(grid.index_from_world, np.array(femur["lesser_trochanter_mm"]))
        ax.plot(column, row, "o", color=LANDMARK, markersize=4, fillstyle="none", markeredgewidth=0.9)


def axes_mm(femur: Mapping) -> tuple[Float[np.ndarray, "2 3"], Float[np.ndarray, "2 3"]]:
    """Ends of the lines that show a femur's neck and shaft axes."""
    head, neck = np.array(femur["head_centre_mm"]), np.array(femur["neck_axis"])
    point, shaft = np.array(femur["shaft_point_mm"]), np.array(femur["shaft_axis"])
    return np.array([head + 12.0 * neck, head - 75.0 * neck]), np.array([point + 85.0 * shaft, point - 45.0 * shaft])


def _line(ax: Axes, ends_mm: Float[np.ndarray, "2 3"], grid: VoxelGrid, **style: Any) -> None:
    _, rows, columns = apply_affine(grid.index_from_world, ends_mm).T
    look: dict[str, Any] = {"color": LANDMARK, "linewidth": 0.8, "linestyle": (0, (6, 3))}
    ax.plot(columns, rows, **(look | style))


def draw_surfaces(ax: Axes, turn_deg: float, seen: Segmented) -> None:
    """Surfaces from in front, turned about the body's axis; proximal femurs are tinted."""
    if not seen.bones.array.any():
        return
    turn = np.radians(turn_deg)
    view = view_grid(seen.bones, np.cos(turn) * Y + np.sin(turn) * X, -Z, SURFACE_PIXEL_MM)
    image, there = render_surfaces(tinted(seen), TINTS, view)
    image[~there] = 1.0
    ax.imshow(image, interpolation="bilinear")
    for femur in seen.femurs.values():
        for ends in axes_mm(femur):
            _line(ax, ends, view, color=INK)
        if np.cos(turn) > 0:
            _, row, column = apply_affine(view.index_from_world, np.array(femur["head_centre_mm"]))
            radius = femur["head_radius_mm"] / SURFACE_PIXEL_MM
            ax.add_patch(Circle((column, row), radius, fill=False, color=INK, linewidth=0.8, linestyle=(0, (4, 3))))
    marks = ("R", "L") if np.cos(turn) > 0 else ("L", "R")
    for text, at, align in zip(marks, (0.01, 0.99), ("left", "right"), strict=True):
        ax.text(at, 0.02, text, transform=ax.transAxes, ha=align, va="bottom", color=MUTED, fontsize=9)


REGION_OFFSET = 10
TINTS: dict[int, tuple[float, float, float]] = {
    **{int(bone): tuple(0.25 + 0.72 * np.array(to_rgb(colour)) * 0.9) for bone, colour in COLOURS.items()},
    **{REGION_OFFSET + label: (0.98, 0.87, 0.42) for label in PROXIMAL_FEMUR.values()},
}
"""Colours of the surfaces: bones, and proximal femurs."""


def tinted(seen: Segmented) -> Volume:
    """Bones, with the proximal femurs as labels of their own."""
    bones, region = seen.bones.array, seen.region.array
    both = (region > 0) & (bones > 0)
    return Volume(np.where(both, region + REGION_OFFSET, bones).astype(np.uint8), seen.bones.grid)


@styled
def message_picture(title: str, words: str) -> Figure:
    """A line of text in place of a picture.

    Args:
        title: patient and verdict.
        words: why there is nothing to draw.
    """
    figure = Figure(figsize=(WIDTH_IN, 0.8))
    FigureCanvasAgg(figure)
    figure.text(0.005, 0.9, title, va="top", fontsize=11.5, fontweight="bold", color=INK)
    figure.text(0.005, 0.45, words, va="top", fontsize=9, color=MUTED)
    return figure
