"""How a patient is set up for a CT: what is drawn for one acquisition, and which voxels are scanned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoray.config.simulation import CtScannerConfig
from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.body import Body
from osteoray.simulation.phantom import PhantomDesign, PhantomPlacement
from osteoray.simulation.scanner_unit import DAILY_CUPPING_SD, DAILY_GAIN_SD, DAILY_OFFSET_SD_HU, ScannerUnit

MATTRESS_MM = 6.0
"""Between the phantom and the couch."""
COUCH_RISE_PER_MM = 14.0 / 200.0**2
"""How the couch curves: its height over its middle is this times the squared distance from there."""


@dataclass(frozen=True)
class Scan:
    """Acquisition of one CT.

    Attributes:
        kvp: tube voltage.
        kernel: name of the reconstruction kernel, a key of `KERNELS`.
        unit: the scanner.
        gain, offset_hu: of the scanner on that day: measured = gain * ideal + offset.
        blur_mm: standard deviation of the standard kernel's in-plane point spread.
        cupping_hu: how much too low the middle of a water cylinder of 40 cm reads.
        noise_hu: standard deviation in the reference body and voxel.
        placement: where the phantom lies; None if there is none.
        couch_mm: x of the middle of the couch, and y of its anterior face there.
    """

    kvp: int
    kernel: str
    unit: ScannerUnit
    gain: float
    offset_hu: float
    blur_mm: float
    cupping_hu: float
    noise_hu: float
    placement: PhantomPlacement | None
    couch_mm: tuple[float, float]


def draw_scan(
    body: Body, design: PhantomDesign, settings: CtScannerConfig, unit: ScannerUnit, rng: np.random.Generator
) -> Scan:
    """Draw drift, blur and the place of the phantom under the patient.

    Args:
        body: the patient on the couch.
        design: the phantom.
        settings: protocol, noise and spread.
        unit: the scanner.
        rng: source of randomness.
    """
    hips_mm = np.mean([femur.head_centre_mm for femur in body.femurs.values()], axis=0)
    back_mm = _posterior_skin_mm(body, hips_mm, design)
    top_mm = back_mm + rng.uniform(6, 16)
    middle_mm = (
        float(hips_mm[0] + rng.normal(0, settings.phantom_offset_mm)),
        float(top_mm + design.slab_height_mm / 2 + 2),
        float(hips_mm[2] + rng.normal(0, 10)),
    )
    tilt = np.tan(np.radians(settings.phantom_tilt_deg))
    roll, slope_x, slope_y = rng.normal(0, [tilt, tilt, 0.75 * tilt])
    placement = PhantomPlacement(middle_mm, float(roll), float(slope_x), float(slope_y), float(rng.uniform(1, 5)))
    couch_mm = (middle_mm[0], middle_mm[1] + design.slab_height_mm / 2 + MATTRESS_MM)
    return scan_today(settings, unit, placement, couch_mm, rng)


def scan_today(
    settings: CtScannerConfig,
    unit: ScannerUnit,
    placement: PhantomPlacement | None,
    couch_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Scan:
    """Draw how the scanner is on one day.

    Args:
        settings: protocol, noise and spread.
        unit: the scanner.
        placement: of the phantom, if there is one.
        couch_mm: x of its middle, and y of its face there.
        rng: source of randomness.
    """
    return Scan(
        kvp=settings.kvp,
        kernel=settings.kernel,
        unit=unit,
        gain=float(unit.gain * rng.normal(1, DAILY_GAIN_SD)),
        offset_hu=float(unit.offset_hu + rng.normal(0, DAILY_OFFSET_SD_HU)),
        blur_mm=float(rng.uniform(0.5, 0.65)),
        cupping_hu=_cupping_hu(settings, unit, rng),
        noise_hu=settings.noise_hu,
        placement=placement,
        couch_mm=couch_mm,
    )


def ct_grid(body: Body, scan: Scan, matrix: int, pixel_mm: float, slice_mm: float, extent_mm: float) -> VoxelGrid:
    """Voxels of the scan: centred on patient and couch, from the iliac crests downwards."""
    top_mm = _top_of_pelvis_mm(body) + 10
    first_k_mm = body.grid.world_from_index[2, 3]
    count = int(min(extent_mm, top_mm - first_k_mm) // slice_mm)
    front_mm = _anterior_skin_mm(body)
    middle_y_mm = (front_mm + scan.couch_mm[1] + 10) / 2
    half_mm = (matrix - 1) / 2 * pixel_mm
    origin_mm = (
        round(float(body.grid.centre_mm[0] - half_mm), 2),
        round(float(middle_y_mm - half_mm), 2),
        round(float(top_mm - (count - 1) * slice_mm), 2),
    )
    return VoxelGrid.axial((count, matrix, matrix), (slice_mm, pixel_mm, pixel_mm), origin_mm)


def _cupping_hu(settings: CtScannerConfig, unit: ScannerUnit, rng: np.random.Generator) -> float:
    """The scanner's own cupping on that day."""
    return settings.cupping_hu * float(np.clip(unit.cupping + rng.normal(0, DAILY_CUPPING_SD), 0, 1))


def _posterior_skin_mm(body: Body, hips_mm: np.ndarray, design: PhantomDesign) -> float:
    """Lowest skin above the phantom."""
    inside = (body.adipose_g_cm3 + body.lean_g_cm3) > 0.3
    x_mm, y_mm, z_mm = body.grid.axes_mm()
    slab = inside[np.abs(z_mm - hips_mm[2]) < design.slab_length_mm / 2]
    slab = slab[:, :, np.abs(x_mm - hips_mm[0]) < design.slab_width_mm / 2]
    return float(y_mm[np.flatnonzero(slab.any(axis=(0, 2)))[-1]])


def _anterior_skin_mm(body: Body) -> float:
    inside = ((body.adipose_g_cm3 + body.lean_g_cm3) > 0.3).any(axis=(0, 2))
    index = np.array([0, np.flatnonzero(inside)[0], 0], float)
    return float(apply_affine(body.grid.world_from_index, index)[1])


def _top_of_pelvis_mm(body: Body) -> float:
    """Height of the iliac crests, or of the highest bone that the body has."""
    slices = np.flatnonzero(np.isin(body.bones, (1, 2)).any(axis=(1, 2)))
    return float(apply_affine(body.grid.world_from_index, np.array([slices[-1], 0, 0], float))[2])
