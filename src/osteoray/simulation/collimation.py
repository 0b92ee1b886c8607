"""The collimator of an X-ray: a rectangle of lead blades near the tube, slightly turned, with a soft edge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.special import ndtr

from osteoray.geometry.camera import Camera
from osteoray.imaging.bones import Side
from osteoray.simulation.body import FemurTruth
from osteoray.simulation.xray_view import XrayView

FOCUS_TO_BLADES_MM = 270.0
"""Distance of the lower blades from the focus; the penumbra follows from it."""
BLADE_TRANSMISSION = 2e-3
"""What blades and tube housing let through, beside scatter."""
BELOW_TROCHANTER_MM = 30.0
"""The technologist keeps this much of the shaft below the lesser trochanter in the field."""
SAFETY_MM = 12.0
"""Distance of the edges from what must be seen, at the detector."""
MARGINS_MM = {"top": 35.0, "bottom": 25.0, "left": 20.0, "right": 20.0}
"""Edges are drawn up to this far inside the detector."""


@dataclass(frozen=True)
class Collimator:
    """The field at the detector.

    Attributes:
        shape: rows and columns of the detector.
        edges: first row, end row, first column, end column of the field, in pixels from the outer corner of pixel
            (0, 0), before the turn about the middle of the detector; beyond the detector where it is open.
        turn_deg: turn of the rectangle, from the columns towards the rows.
        penumbra: standard deviation of the soft edge in pixels.
    """

    shape: tuple[int, int]
    edges: tuple[float, float, float, float]
    turn_deg: float
    penumbra: float

    def transmission(self) -> Float32[np.ndarray, "rows columns"]:
        """Share of the beam that passes, `BLADE_TRANSMISSION` to 1."""
        row, column = self._turned()
        top, bottom, left, right = self.edges
        share = np.ones(self.shape, np.float32)
        for distance in (row - top, bottom - row, column - left, right - column):
            reach = 6.0 * self.penumbra
            if distance.min() < reach:
                share *= ndtr((distance / self.penumbra).astype(np.float32))
        return BLADE_TRANSMISSION + (1.0 - BLADE_TRANSMISSION) * share

    def field(self, inset: float = 0.0) -> Bool[np.ndarray, "rows columns"]:
        """Pixels whose centre lies inside the edges, and further inside than `inset` pixels."""
        row, column = self._turned()
        top, bottom, left, right = self.edges
        return (row > top + inset) & (row < bottom - inset) & (column > left + inset) & (column < right - inset)

    def corners(self) -> Float[np.ndarray, "4 2"]:
        """Row and column of the corners in array coordinates (pixel centres are whole), clockwise from the upper left,
        on the detector."""
        top, bottom, left, right = self._on_detector()
        middle = np.array(self.shape) / 2
        points = np.array([[top, left], [top, right], [bottom, right], [bottom, left]]) - middle
        cosine, sine = np.cos(np.radians(self.turn_deg)), np.sin(np.radians(self.turn_deg))
        turned = np.stack(
            [points[:, 0] * cosine + points[:, 1] * sine, points[:, 1] * cosine - points[:, 0] * sine], axis=1
        )
        return np.clip(turned + middle, 0, np.array(self.shape, float)) - 0.5

    def _on_detector(self) -> tuple[float, float, float, float]:
        top, bottom, left, right = self.edges
        return max(top, 0.0), min(bottom, float(self.shape[0])), max(left, 0.0), min(right, float(self.shape[1]))

    def _turned(self) -> tuple[np.ndarray, np.ndarray]:
        """Position of every pixel centre along the blades, from the same corner as the edges."""
        rows, columns = (np.arange(n) + 0.5 - n / 2 for n in self.shape)
        cosine, sine = np.cos(np.radians(self.turn_deg)), np.sin(np.radians(self.turn_deg))
        row = rows[:, None] * cosine - columns[None, :] * sine + self.shape[0] / 2
        column = columns[None, :] * cosine + rows[:, None] * sine + self.shape[1] / 2
        return row, column


def open_collimator(camera: Camera, focal_spot_mm: float) -> Collimator:
    """A field that is larger than the detector."""
    rows, columns = camera.shape
    # A uniform penumbra of the focal spot's shadow has a standard deviation of its width over sqrt(12).
    width_mm = focal_spot_mm * (camera.sid_mm - FOCUS_TO_BLADES_MM) / FOCUS_TO_BLADES_MM
    penumbra = width_mm / np.sqrt(12) / camera.pitch_mm[0]
    return Collimator((rows, columns), (-rows, 2.0 * rows, -columns, 2.0 * columns), 0.0, float(penumbra))


def draw_collimator(
    view: XrayView, femurs: dict[Side, FemurTruth], focal_spot_mm: float, rng: np.random.Generator
) -> Collimator:
    """Draw a field around both hips.

    Args:
        view: geometry of the X-ray.
        femurs: landmarks; both proximal femurs and 30 mm of shaft below the lesser trochanter stay inside.
        focal_spot_mm: width of the focal spot.
        rng: source of randomness.
    """
    camera = view.camera
    needed = needed_field(view, femurs)
    safety = SAFETY_MM / camera.pitch_mm[0]
    margins = {edge: rng.uniform(0, most) / camera.pitch_mm[0] for edge, most in MARGINS_MM.items()}
    is_closed = rng.random(4) < 0.7
    turn_deg = float(np.clip(rng.normal(0, 0.4), -1.0, 1.0)) if rng.random() < 0.5 else 0.0
    first = open_collimator(camera, focal_spot_mm)
    edges = list(first.edges)
    for n, (edge, closed) in enumerate(zip(("top", "bottom", "left", "right"), is_closed, strict=True)):
        if closed:
            size = camera.shape[n // 2]
            edges[n] = (
                min(margins[edge], needed[n] - safety) if n % 2 == 0 else max(size - margins[edge], needed[n] + safety)
            )
    # A closed edge that would lie outside the detector is open.
    edges = [value if (0 < value < camera.shape[n // 2]) else first.edges[n] for n, value in enumerate(edges)]
    return replace(first, edges=(edges[0], edges[1], edges[2], edges[3]), turn_deg=turn_deg)


def needed_field(view: XrayView, femurs: dict[Side, FemurTruth]) -> tuple[float, float, float, float]:
    """First and last row, first and last column of both proximal femurs with the shaft below them."""
    points = []
    for side, femur in femurs.items():
        below_mm = femur.lesser_trochanter_mm - BELOW_TROCHANTER_MM * femur.shaft_axis
        # The greater trochanter reaches sideways of the shaft axis by a little more than the radius of the head.
        sideways = femur.neck_axis - (femur.neck_axis @ femur.shaft_axis) * femur.shaft_axis
        foot_mm = femur.head_centre_mm - femur.neck_length_mm * femur.neck_axis
        sideways = femur.head_radius_mm * sideways / np.linalg.norm(sideways)
        lateral_mm = foot_mm - 1.15 * sideways
        head_mm = femur.head_centre_mm + femur.head_radius_mm * np.array([[0, 0, 1.0], [1, 0, 0], [-1, 0, 0]])
        points.append(
            view.femur(side).project(np.concatenate([head_mm, [below_mm, below_mm - 1.5 * sideways, lateral_mm]]))
        )
    rows, columns = np.concatenate(points).T
    return float(rows.min()), float(rows.max()), float(columns.min()), float(columns.max())


def cropped_above_trochanters(collimator: Collimator, view: XrayView, femurs: dict[Side, FemurTruth]) -> Collimator:
    """The field that ends 8 mm above the higher of the lesser trochanters."""
    rows = [float(view.femur(side).project(femur.lesser_trochanter_mm)[0]) for side, femur in femurs.items()]
    top, _, left, right = collimator.edges
    return replace(collimator, edges=(top, min(rows) - 8.0 / view.camera.pitch_mm[0], left, right))
