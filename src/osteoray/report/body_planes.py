"""Cuts through a patient that show the hips: axial, coronal, sagittal, and along neck and shaft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Side
from osteoray.report.segmented import Segmented

PIXEL_MM = 0.8
X, Y, Z = np.eye(3)


@dataclass(frozen=True, eq=False)
class Plane:
    """A cut through the body.

    Attributes:
        title: what it shows.
        centre_mm: LPS position of its middle.
        right: unit vector along its rows.
        down: unit vector along its columns, orthogonal to `right`.
        size_mm: height and width.
        marks: letters of the patient's direction at its left and right edge.
    """

    title: str
    centre_mm: Float[np.ndarray, 3]
    right: Float[np.ndarray, 3]
    down: Float[np.ndarray, 3]
    size_mm: tuple[float, float]
    marks: tuple[str, str]

    def grid(self) -> VoxelGrid:
        """The plane as one slice of voxels."""
        rows, columns = (round(size / PIXEL_MM) for size in self.size_mm)
        away = np.cross(self.right, self.down)
        axes = np.stack([away, self.down, self.right], axis=1) * PIXEL_MM
        corner = self.centre_mm - axes @ [0.0, (rows - 1) / 2, (columns - 1) / 2]
        return VoxelGrid((1, rows, columns), affine(axes, corner))


def axial_planes(focus_mm: Mapping[Side, Float[np.ndarray, "2 3"]]) -> list[Plane]:
    """Through the femoral heads, and through the lesser trochanters."""
    middle = np.mean(list(focus_mm.values()), axis=0)
    middle[:, 0] = _midline_mm(focus_mm)
    names = ("Axial, femoral heads", "Axial, lesser trochanters")
    return [Plane(name, at, X, Y, (170.0, 390.0), ("R", "L")) for name, at in zip(names, middle, strict=True)]


def coronal_plane(focus_mm: Mapping[Side, Float[np.ndarray, "2 3"]], top_mm: float) -> Plane:
    """Through both femoral heads, turned about the body's axis if one lies farther back; not above the scan's top."""
    heads = {side: places[0] for side, places in focus_mm.items()}
    right = X.copy()
    if len(heads) == 2:
        right = (heads[Side.LEFT] - heads[Side.RIGHT]) * [1, 1, 0]
        right /= np.linalg.norm(right)
    centre = np.mean(list(heads.values()), axis=0)
    if len(heads) == 1:
        centre[0] = _midline_mm(focus_mm)
    height_mm = 290.0
    centre[2] = min(centre[2] + 22.0, top_mm - height_mm / 2)
    return Plane("Coronal, femoral heads", centre, right, -Z, (height_mm, 370.0), ("R", "L"))


def femur_planes(seen: Segmented, focus_mm: Mapping[Side, Float[np.ndarray, "2 3"]]) -> list[Plane]:
    """Of each side the sagittal plane through the head and the plane of neck and shaft; right femur first."""
    planes = []
    for side in (Side.RIGHT, Side.LEFT):
        if side not in focus_mm:
            continue
        head = focus_mm[side][0]
        middle = head - 25.0 * Z
        planes.append(Plane(f"Sagittal, {side} head", middle, Y, -Z, (220.0, 130.0), ("A", "P")))
        if side.value in seen.femurs:
            femur = seen.femurs[side.value]
            down = -np.array(femur["shaft_axis"])
            right = np.array(femur["neck_axis"]) * (1.0 if side is Side.RIGHT else -1.0)
            right = right - (right @ down) * down
            right /= np.linalg.norm(right)
            along = ((np.array(femur["lesser_trochanter_mm"]) - head) @ down) * down
            across = ((np.array(femur["shaft_point_mm"]) - head) @ right) * right
            marks = ("", "M") if side is Side.RIGHT else ("M", "")
            centre = head + 0.5 * along + 0.45 * across + 12.0 * down
            planes.append(Plane(f"Neck and shaft, {side}", centre, right, down, (200.0, 130.0), marks))
    return planes


def _midline_mm(focus_mm: Mapping[Side, Float[np.ndarray, "2 3"]]) -> float:
    heads = {side: places[0, 0] for side, places in focus_mm.items()}
    if len(heads) == 2:
        return float(np.mean(list(heads.values())))
    side, x_mm = next(iter(heads.items()))
    return float(x_mm + (-90.0 if side is Side.LEFT else 90.0))
