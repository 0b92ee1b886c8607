"""What can be wrong with the patient, the phantom or the extent of a CT, as changes of what is scanned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import shift

from osteoray.config.simulation import Defect
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.body import Body
from osteoray.simulation.ct_setup import COUCH_RISE_PER_MM, Scan
from osteoray.simulation.implant import IMPLANT_SIDE, hip_replacement, replace_hip
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import Subject
from osteoray.simulation.vessels_contrast import iodine_mg_cm3

THICK_MM = 5.0
CUT_PHANTOM_MM = 40.0
MOTION_MM = (6.0, 8.0)
"""Smallest and largest distance that a patient moves."""
MOTION_RAMP_MM = 2.0
"""Table feed while he moves."""


def subject_of(body: Body, defects: frozenset[Defect], rng: np.random.Generator) -> tuple[Subject, dict]:
    """The patient as he is scanned, and what was done to him as JSON values.

    Args:
        body: without defects.
        defects: `implant_ct`, `contrast` and `motion` count.
        rng: source of the motion.
    """
    metal, iodine = None, None
    facts: dict = {}
    if "implant_ct" in defects:
        metal = hip_replacement(body.femurs[IMPLANT_SIDE], IMPLANT_SIDE, body.grid)
        body = replace_hip(body, IMPLANT_SIDE)
        facts["implant_side"] = str(IMPLANT_SIDE)
    if "contrast" in defects:
        iodine = iodine_mg_cm3(body)
        if metal is not None:
            iodine *= 1 - metal
    if "motion" in defects:
        hips_mm = np.mean([femur.head_centre_mm for femur in body.femurs.values()], axis=0)
        z_mm = float(hips_mm[2] + rng.uniform(-80, -55))
        angle_rad, length_mm = rng.uniform(0, 2 * np.pi), rng.uniform(*MOTION_MM)
        moved_mm = length_mm * np.array([np.cos(angle_rad), np.sin(angle_rad), 0.1])
        body = moved(body, z_mm, moved_mm)
        metal, iodine = (
            None if array is None else _moved(array, body.grid, z_mm, moved_mm) for array in (metal, iodine)
        )
        facts |= {"motion_below_z_mm": z_mm, "motion_mm": moved_mm.tolist()}
    return Subject(body, metal, iodine), facts


def design_of(design: PhantomDesign, defects: frozenset[Defect]) -> PhantomDesign:
    """The phantom as it lies there: turned round, or with two rods exchanged."""
    design = design.turned() if "phantom_turned" in defects else design
    return design.swapped() if "rods_swapped" in defects else design


def scan_of(scan: Scan, design: PhantomDesign, grid: VoxelGrid, defects: frozenset[Defect]) -> Scan:
    """The acquisition with the phantom absent, mostly outside the scan, or half outside the circle."""
    if "phantom_absent" in defects or scan.placement is None:
        return replace(scan, placement=None)
    x_mm, y_mm, z_mm = scan.placement.middle_mm
    roll = scan.placement.roll
    if "phantom_cut" in defects:
        lowest_mm = float(grid.world_from_index[2, 3] - grid.spacing_mm[0] / 2)
        z_mm = lowest_mm + CUT_PHANTOM_MM - design.slab_length_mm / 2
    if "phantom_clipped" in defects:
        # The circle of reconstruction ends between the middle of the slab and its rods on one side.
        radius_mm = grid.shape[2] * float(grid.spacing_mm[2]) / 2
        chord_mm = np.sqrt(max(radius_mm**2 - (y_mm - grid.centre_mm[1]) ** 2, 0.0))
        offset_mm = min(rod.offset_mm for rod in design.rods if rod.offset_mm > design.diameter_mm)
        x_mm = float(grid.centre_mm[0] + chord_mm - offset_mm / 2)
        # It lies on the rising side of the couch.
        aside_mm = x_mm - scan.couch_mm[0]
        y_mm -= COUCH_RISE_PER_MM * aside_mm**2
        roll -= 2 * COUCH_RISE_PER_MM * aside_mm
    return replace(scan, placement=replace(scan.placement, middle_mm=(x_mm, y_mm, z_mm), roll=roll))


def slice_mm_of(slice_mm: float, defects: frozenset[Defect]) -> float:
    """Slice thickness and distance."""
    return THICK_MM if "thick_slices" in defects else slice_mm


def grid_of(grid: VoxelGrid, body: Body, defects: frozenset[Defect]) -> VoxelGrid:
    """Voxels of a scan that ends at the lesser trochanters."""
    if "ct_cropped" not in defects:
        return grid
    end_mm = max(float(femur.lesser_trochanter_mm[2]) for femur in body.femurs.values())
    first = int(np.ceil((end_mm - grid.world_from_index[2, 3]) / grid.spacing_mm[0]))
    return grid.crop((first, 0, 0), (grid.shape[0] - first, *grid.shape[1:]))


def moved(body: Body, z_mm: float, by_mm: Float[np.ndarray, " 3"]) -> Body:
    """The body as a scan from head to feet sees it if it moves when the table has reached a height.

    Args:
        body: before; landmarks stay those of this position.
        z_mm: height at which it moves; what lies below is displaced.
        by_mm: LPS displacement.
    """
    return replaced(body, lambda array: _moved(array, body.grid, z_mm, by_mm))


def replaced(body: Body, change: Callable[[np.ndarray], np.ndarray]) -> Body:
    """The body with all its voxels changed alike; masses are numbers to interpolate, labels are not."""
    return replace(
        body,
        ha_mg_cm3=change(body.ha_mg_cm3),
        adipose_g_cm3=change(body.adipose_g_cm3),
        lean_g_cm3=change(body.lean_g_cm3),
        bones=change(body.bones),
        proximal_femur=change(body.proximal_femur),
    )


def _moved(array: np.ndarray, grid: VoxelGrid, z_mm: float, by_mm: np.ndarray) -> np.ndarray:
    order = 0 if array.dtype == np.uint8 else 1
    heights_mm = grid.world_from_index[2, 3] + np.arange(grid.shape[0]) * grid.spacing_mm[0]
    share = np.clip((z_mm - heights_mm) / MOTION_RAMP_MM, 0, 1)
    step = np.asarray(by_mm)[::-1] / grid.spacing_mm
    out = array.copy()
    still = int(np.searchsorted(-share, 0))
    whole = int((share == 1).sum())
    if whole:
        out[:whole] = shift(array, step, order=order, mode="nearest")[:whole]
    for k in range(whole, still):
        window = slice(max(k - 8, 0), k + 9)
        out[k] = shift(array[window], share[k] * step, order=order, mode="nearest")[k - window.start]
    return out
