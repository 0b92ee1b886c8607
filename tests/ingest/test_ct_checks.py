"""A CT that can be read but not quite trusted says why."""

from __future__ import annotations

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.ingest.ct_checks import ct_warnings, cut_off_mm, step_mm

SPACING_MM = (3.0, 1.5, 1.5)
LIMITS = {"has_contrast": False, "most_cut_mm": 40.0, "most_step_mm": 2.5}


def scan(half_width_mm: float = 90.0, step_mm: tuple[float, float] = (0.0, 0.0)) -> Volume:
    """A body with two oblique femurs that are displaced (down, right) from slice 15 on; noise of 10 HU."""
    k, y, x = np.meshgrid(
        np.arange(30), (np.arange(128) - 63.5) * 1.5, (np.arange(128) - 63.5) * 1.5, indexing="ij", sparse=True
    )
    moved = k >= 15
    y, x = y - step_mm[0] * moved, x - step_mm[1] * moved
    hu = np.where((x / half_width_mm) ** 2 + (y / 60) ** 2 < 1, 40.0, -1000.0)
    for side in (-1, 1):
        radius = np.hypot(x - side * (45 + 0.5 * k), y - 0.4 * k)
        hu[radius < 16] = 900.0
        hu[radius < 10] = 0.0
    hu += np.random.default_rng(1).normal(0, 10, hu.shape)
    hu[:, np.hypot(*np.broadcast_arrays(y[0], x[0])) > 96] = -1024
    return Volume(hu.astype(np.int16), VoxelGrid.axial(hu.shape, SPACING_MM))


def test_a_quiet_scan_of_a_whole_body_has_no_warning():
    assert ct_warnings(scan(), **LIMITS) == []


def test_a_contrast_agent_in_the_header_is_told():
    (finding,) = ct_warnings(scan(), **(LIMITS | {"has_contrast": True}))
    assert finding.code == "ING-CONTRAST"


def test_a_body_wider_than_the_field_is_told_with_its_length():
    volume = scan(half_width_mm=120.0)
    (finding,) = ct_warnings(volume, **LIMITS)
    assert finding.code == "ING-TRUNCATED" and "in 30 slices" in finding.detail
    # The ellipse cuts the circle of 90 mm at two arcs.
    y = 60 * np.sqrt((1 - (90 / 120) ** 2) / (1 - (60 / 120) ** 2))
    arcs_mm = 4 * 90 * np.arcsin(y / 90)
    assert np.median(cut_off_mm(volume)) == pytest.approx(arcs_mm, rel=0.15)


@pytest.mark.parametrize("moved_mm", [(4.0, 0.0), (0.0, 4.0), (-3.0, 3.0)])
def test_a_patient_who_moved_is_told_with_slice_and_step(moved_mm):
    volume = scan(step_mm=moved_mm)
    steps_mm = step_mm(volume)
    assert steps_mm.argmax() == 14
    assert steps_mm.max() == pytest.approx(np.hypot(*moved_mm), rel=0.25)
    (finding,) = ct_warnings(volume, **LIMITS)
    assert finding.code == "ING-MOTION" and "between slices 14 and 15" in finding.detail


def test_few_slices_say_nothing_about_motion():
    volume = scan()
    few = Volume(volume.array[:5], VoxelGrid.axial((5, 128, 128), SPACING_MM))
    assert len(step_mm(few)) == 0
