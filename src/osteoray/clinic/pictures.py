"""The X-ray as it was taken, with side markers, and with the predicted density map laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

DENSITY_COLOURS = "magma"


@dataclass(frozen=True, eq=False)
class MapOverlay:
    """A predicted map and where it lies.

    Attributes:
        areal_g_cm2: the map, turned as the half was for the network.
        box: first row, first column, rows and columns in the X-ray.
        is_flipped: whether the half was flipped for the network.
    """

    areal_g_cm2: Float[np.ndarray, "r c"]
    box: tuple[int, int, int, int]
    is_flipped: bool


@dataclass(frozen=True, eq=False)
class Picture:
    """An X-ray to show.

    Attributes:
        xray_id: the X-ray.
        pose: its pose.
        image: log attenuation, reduced for display.
        shape: rows and columns of the full X-ray.
        maps: side to predicted map; only of measurements that are not withheld.
    """

    xray_id: str
    pose: str
    image: Float[np.ndarray, "rows columns"]
    shape: tuple[int, int]
    maps: dict[str, MapOverlay]


def draw_xray(ax: Axes, picture: Picture, marker_size: float = 12) -> None:
    """The X-ray, bright where it attenuates, with R on the patient's right, which is image left in an AP view."""
    rows, columns = picture.shape
    low, high = np.quantile(picture.image, [0.02, 0.997])
    frame = (0, columns, rows, 0)
    ax.imshow(picture.image, cmap="gray", vmin=low, vmax=high, extent=frame, interpolation="bilinear")
    ax.set(xticks=[], yticks=[], xlim=(0, columns), ylim=(rows, 0), aspect="equal", anchor="NW")
    for spine in ax.spines.values():
        spine.set_visible(False)
    for text, place, align in (("R", 0.03, "left"), ("L", 0.97, "right")):
        frame_style = {"boxstyle": "round,pad=0.15", "fc": "black", "ec": "none", "alpha": 0.55}
        style: dict[str, Any] = {"color": "white", "fontsize": marker_size, "fontweight": "bold", "bbox": frame_style}
        ax.text(place, 0.97, text, transform=ax.transAxes, ha=align, va="top", **style)


def draw_overlay(ax: Axes, picture: Picture, maximum_g_cm2: float, marker_size: float = 12) -> ScalarMappable | None:
    """The X-ray with its maps in colour; returns the scale for the colour bar, None without a map."""
    draw_xray(ax, picture, marker_size)
    shown = None
    for overlay in picture.maps.values():
        areal = overlay.areal_g_cm2[:, ::-1] if overlay.is_flipped else overlay.areal_g_cm2
        row, column, rows, columns = overlay.box
        colours = mpl.colormaps[DENSITY_COLOURS](np.clip(areal / maximum_g_cm2, 0, 1))
        # Transparent where there is no bone, and soft at its border.
        colours[..., 3] = 0.85 * np.clip((areal - 0.1) / 0.15, 0, 1)
        frame = (column, column + columns, row + rows, row)
        ax.imshow(colours, extent=frame, interpolation="bilinear")
        shown = ScalarMappable(Normalize(0, maximum_g_cm2), DENSITY_COLOURS)
    ax.set(xlim=(0, picture.shape[1]), ylim=(picture.shape[0], 0))
    return shown
