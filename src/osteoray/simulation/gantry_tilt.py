"""A CT with a tilted gantry: level slices through a sheared patient, put back where they are in him."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import shift

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.ct_defects import replaced
from osteoray.simulation.ct_setup import Scan
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import CtScan, Subject, scan_subject

TILT_DEG = 12.0


def tilted_ct(subject: Subject, scan: Scan, design: PhantomDesign, grid: VoxelGrid, rng: np.random.Generator) -> CtScan:
    """Scan with the gantry tilted by `TILT_DEG` about the middle of the grid.

    Args:
        subject: in patient coordinates.
        scan: of an untilted gantry.
        design: the phantom.
        grid: of an untilted scan.
        rng: source of the noise.
    """
    pivot_y_mm = float(grid.centre_mm[1])
    subject = tilted_subject(subject, TILT_DEG, pivot_y_mm)
    scan = tilted_scan(scan, TILT_DEG, pivot_y_mm)
    return true_geometry(scan_subject(subject, scan, design, tilted_grid(grid, TILT_DEG), rng), TILT_DEG, pivot_y_mm)


def tilted_subject(subject: Subject, tilt_deg: float, pivot_y_mm: float) -> Subject:
    """The subject in the coordinates of a tilted gantry: slices are level there, and what is behind the pivot is lower.

    A point (x, y, z) of the patient lies at z - (y - pivot) tan(tilt).
    """
    body = subject.body
    sheared = replaced(body, lambda array: _sheared(array, body.grid, tilt_deg, pivot_y_mm))
    metal, iodine = (
        None if array is None else _sheared(array, body.grid, tilt_deg, pivot_y_mm)
        for array in (subject.metal, subject.iodine_mg_cm3)
    )
    return Subject(sheared, metal, iodine)


def _sheared(array: np.ndarray, grid: VoxelGrid, tilt_deg: float, pivot_y_mm: float) -> np.ndarray:
    y_mm = grid.world_from_index[1, 3] + np.arange(grid.shape[1]) * grid.spacing_mm[1]
    rise = (y_mm - pivot_y_mm) * np.tan(np.radians(tilt_deg)) / grid.spacing_mm[0]
    out = np.empty_like(array)
    order = 0 if array.dtype == np.uint8 else 1
    for j, up in enumerate(rise):
        out[:, j] = shift(array[:, j], (-up, 0), order=order, mode="nearest")
    return out


def tilted_grid(grid: VoxelGrid, tilt_deg: float) -> VoxelGrid:
    """The level grid on which the tilted subject is scanned: rows as a tilted detector projects them on the patient.

    Slices that would leave the original range at the front or the back are dropped.
    """
    tilt = np.radians(tilt_deg)
    pixel_mm, slice_mm = float(grid.spacing_mm[2]), float(grid.spacing_mm[0])
    row_mm = pixel_mm * np.cos(tilt)
    lost = int(np.ceil(grid.shape[1] / 2 * row_mm * np.tan(tilt) / slice_mm))
    lost = min(lost, grid.shape[0] // 6)
    x_mm, _, z_mm = grid.world_from_index[:3, 3]
    first_y_mm = float(grid.centre_mm[1]) - (grid.shape[1] - 1) / 2 * row_mm
    shape = (grid.shape[0] - 2 * lost, *grid.shape[1:])
    return VoxelGrid.axial(shape, (slice_mm, row_mm, pixel_mm), (x_mm, first_y_mm, z_mm + lost * slice_mm))


def tilted_scan(scan: Scan, tilt_deg: float, pivot_y_mm: float) -> Scan:
    """The acquisition with the phantom where the tilted gantry sees it."""
    if scan.placement is None:
        return scan
    x_mm, y_mm, z_mm = scan.placement.middle_mm
    z_mm -= (y_mm - pivot_y_mm) * np.tan(np.radians(tilt_deg))
    return replace(scan, placement=replace(scan.placement, middle_mm=(x_mm, y_mm, float(z_mm))))


def true_geometry(ct: CtScan, tilt_deg: float, pivot_y_mm: float) -> CtScan:
    """The CT of a tilted subject with its voxels and rods where they are in the patient: a sheared grid."""
    slope = np.tan(np.radians(tilt_deg))
    level = ct.grid.world_from_index
    linear, origin_mm = level[:3, :3].copy(), level[:3, 3].copy()
    linear[2, 1] = linear[1, 1] * slope
    origin_mm[2] += (origin_mm[1] - pivot_y_mm) * slope
    rods_mm = ct.rods_mm.copy()
    rods_mm[..., 2] += (rods_mm[..., 1] - pivot_y_mm) * slope
    return replace(ct, grid=VoxelGrid(ct.grid.shape, affine(linear, origin_mm)), rods_mm=rods_mm)
