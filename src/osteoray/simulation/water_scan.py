"""The cylinder of water with rods of bone that the virtual hospital's physicist scans on every scanner, with the
patients' protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.beam_hardening import bone_share_left
from osteoray.simulation.body import HYDROXYAPATITE_G_CM3, Body
from osteoray.simulation.ct_response import ct_response
from osteoray.simulation.ct_setup import scan_today
from osteoray.simulation.dicom_ct import CtHeader
from osteoray.simulation.enrolment import VirtualPatient
from osteoray.simulation.phantom import PhantomDesign
from osteoray.simulation.scanner import Subject, scan_subject
from osteoray.simulation.scanner_unit import STREAM, scanner_unit

DIAMETER_MM, LENGTH_MM = 300.0, 90.0
BODY_MM, SLICE_MM, SCANNED_MM = 2.0, 5.0, 120.0
GAP_MM = 6.0
"""Foam between the cylinder and the couch."""
ROD_MM, ROD_HA_MG_CM3, RODS_MM = 30.0, 800.0, ((-85.0, 0.0), (85.0, 0.0))
"""Diameter of the rods, their hydroxyapatite in what attenuates like water, and their places, to the left and to
posterior of the axis: as dense and as far apart as the hips."""


def water_body(kvp: int, *, has_rods: bool = True) -> Body:
    """A cylinder along z of lean tissue so thin that it attenuates like water, with rods of bone or without."""
    count, length = int(DIAMETER_MM / BODY_MM) + 8, int(SCANNED_MM / BODY_MM)
    half_mm, lowest_mm = (count - 1) / 2 * BODY_MM, -(length - 1) / 2 * BODY_MM
    grid = VoxelGrid.axial((length, count, count), (BODY_MM,) * 3, (-half_mm, -half_mm, lowest_mm))
    x_mm, y_mm, z_mm = grid.axes_mm()
    from_axis_mm = np.hypot(y_mm[:, None], x_mm[None, :])
    disc = np.clip((DIAMETER_MM / 2 - from_axis_mm) / BODY_MM + 0.5, 0, 1)
    filled = disc[None] * (np.abs(z_mm) < LENGTH_MM / 2)[:, None, None]
    none = np.zeros(grid.shape, np.float32)
    labels = np.zeros(grid.shape, np.uint8)
    rods = np.zeros_like(disc)
    for aside_mm, down_mm in RODS_MM if has_rods else ():
        from_rod_mm = np.hypot(y_mm[:, None] - down_mm, x_mm[None, :] - aside_mm)
        rods += np.clip((ROD_MM / 2 - from_rod_mm) / BODY_MM + 0.5, 0, 1)
    ha_mg_cm3 = (ROD_HA_MG_CM3 * rods * filled).astype(np.float32)
    water = ((filled - ha_mg_cm3 / (1e3 * HYDROXYAPATITE_G_CM3)) / ct_response(kvp).lean).astype(np.float32)
    return Body(grid, labels, ha_mg_cm3, none, water, {}, labels, {})


@dataclass(frozen=True, eq=False)
class WaterScan:
    """A scan of the cylinder as it is exported.

    Attributes:
        phantom: who the files are of: the cylinder, enrolled like a patient.
        hu, grid: the image.
        couch_y_mm: height of the couch.
        header: what the files say.
        cupping_hu: how much too low the middle of 40 cm of water reads on that day; the truth.
        bone_share: of bone's beam hardening that the scanner leaves on that day; the truth.
    """

    phantom: VirtualPatient
    hu: Int16[np.ndarray, "k j i"]
    grid: VoxelGrid
    couch_y_mm: float
    header: CtHeader
    cupping_hu: float
    bone_share: float


def scan_water(config: SimulationConfig, number: int, design: PhantomDesign, *, has_rods: bool = True) -> WaterScan:
    """Scan the cylinder on one of the cohort's scanners, without the calibration phantom.

    Args:
        config: seed and CT of the cohort.
        number: of the scanner, from 0.
        design: the patients' phantom, of which nothing is scanned.
        has_rods: whether rods of bone lie in the water.
    """
    unit = scanner_unit(config.seed, number)
    rng = np.random.default_rng([config.seed, number, STREAM, 1])
    couch_y_mm = DIAMETER_MM / 2 + GAP_MM
    scan = scan_today(config.ct, unit, None, (0.0, couch_y_mm), rng)
    half_mm = (config.ct.matrix - 1) / 2 * config.ct.pixel_mm
    shape = (int(SCANNED_MM / SLICE_MM), config.ct.matrix, config.ct.matrix)
    lowest_mm = -(shape[0] - 1) / 2 * SLICE_MM
    grid = VoxelGrid.axial(shape, (SLICE_MM, config.ct.pixel_mm, config.ct.pixel_mm), (-half_mm, -half_mm, lowest_mm))
    ct = scan_subject(Subject(water_body(config.ct.kvp, has_rods=has_rods)), scan, design, grid, rng)
    header = CtHeader(
        kvp=scan.kvp, kernel=scan.kernel, model=unit.model, station=unit.station, serial=unit.serial, phantom="WATER",
        current_ma=ct.current_ma, transfer_syntax=config.ct.transfer_syntax,
    )  # fmt: skip
    phantom = VirtualPatient(number, f"WATER-{unit.station}", "O", 0, 100, 20, False, ())
    return WaterScan(phantom, ct.hu, grid, couch_y_mm, header, scan.cupping_hu, bone_share_left(scan.cupping_hu))
