"""The cylinder of water that the virtual hospital's physicist scans on every scanner, with the patients' protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16

from osteoray.config.simulation import SimulationConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.simulation.body import Body
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


def water_body(kvp: int) -> Body:
    """A cylinder along z of lean tissue so thin that it attenuates like water."""
    count, length = int(DIAMETER_MM / BODY_MM) + 8, int(SCANNED_MM / BODY_MM)
    half_mm, lowest_mm = (count - 1) / 2 * BODY_MM, -(length - 1) / 2 * BODY_MM
    grid = VoxelGrid.axial((length, count, count), (BODY_MM,) * 3, (-half_mm, -half_mm, lowest_mm))
    x_mm, y_mm, z_mm = grid.axes_mm()
    from_axis_mm = np.hypot(y_mm[:, None], x_mm[None, :])
    disc = np.clip((DIAMETER_MM / 2 - from_axis_mm) / BODY_MM + 0.5, 0, 1)
    filled = disc[None] * (np.abs(z_mm) < LENGTH_MM / 2)[:, None, None]
    none = np.zeros(grid.shape, np.float32)
    labels = np.zeros(grid.shape, np.uint8)
    water = (filled / ct_response(kvp).lean).astype(np.float32)
    return Body(grid, labels, none, none, water, {}, labels, {})


@dataclass(frozen=True, eq=False)
class WaterScan:
    """A scan of the cylinder as it is exported.

    Attributes:
        phantom: who the files are of: the cylinder, enrolled like a patient.
        hu, grid: the image.
        couch_y_mm: height of the couch.
        header: what the files say.
        cupping_hu: how much too low the middle of 40 cm of water reads on that day; the truth.
    """

    phantom: VirtualPatient
    hu: Int16[np.ndarray, "k j i"]
    grid: VoxelGrid
    couch_y_mm: float
    header: CtHeader
    cupping_hu: float


def scan_water(config: SimulationConfig, number: int, design: PhantomDesign) -> WaterScan:
    """Scan the cylinder on one of the cohort's scanners, without the calibration phantom.

    Args:
        config: seed and CT of the cohort.
        number: of the scanner, from 0.
        design: the patients' phantom, of which nothing is scanned.
    """
    unit = scanner_unit(config.seed, number)
    rng = np.random.default_rng([config.seed, number, STREAM, 1])
    couch_y_mm = DIAMETER_MM / 2 + GAP_MM
    scan = scan_today(config.ct, unit, None, (0.0, couch_y_mm), rng)
    half_mm = (config.ct.matrix - 1) / 2 * config.ct.pixel_mm
    shape = (int(SCANNED_MM / SLICE_MM), config.ct.matrix, config.ct.matrix)
    lowest_mm = -(shape[0] - 1) / 2 * SLICE_MM
    grid = VoxelGrid.axial(shape, (SLICE_MM, config.ct.pixel_mm, config.ct.pixel_mm), (-half_mm, -half_mm, lowest_mm))
    ct = scan_subject(Subject(water_body(config.ct.kvp)), scan, design, grid, rng)
    header = CtHeader(
        kvp=scan.kvp, kernel=scan.kernel, model=unit.model, station=unit.station, serial=unit.serial, phantom="WATER",
        current_ma=ct.current_ma, transfer_syntax=config.ct.transfer_syntax,
    )  # fmt: skip
    phantom = VirtualPatient(number, f"WATER-{unit.station}", "O", 0, 100, 20, False, ())
    return WaterScan(phantom, ct.hu, grid, couch_y_mm, header, scan.cupping_hu)
