"""A folder of CT images becomes one volume in HU on an axial LPS grid, or is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from osteoray.errors.unreadable import UnreadableInput
from osteoray.errors.verdict import Finding
from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.ingest.ct_acquisition import acquisition_facts
from osteoray.ingest.ct_checks import ct_warnings
from osteoray.ingest.ct_copies import without_copies
from osteoray.ingest.ct_gates import ordered_grid
from osteoray.ingest.ct_pixels import AIR_HU, hounsfield_volume
from osteoray.ingest.ct_series import choose, group
from osteoray.ingest.ct_slices import read_slices
from osteoray.ingest.dicom import label
from osteoray.ingest.persons import one_person


@dataclass(frozen=True, eq=False)
class CtScan:
    """A CT fit for measurement.

    Attributes:
        volume: int16 HU; k to superior, j to posterior, i to left.
        facts: acquisition, choice and repairs; JSON values that identify nobody.
        findings: warnings about contrast, field and motion.
        person: PatientID as stored, to compare with the X-rays'; never written.
    """

    volume: Volume
    facts: dict
    findings: list[Finding]
    person: str = field(repr=False)


def read_ct(
    folder: Path,
    *,
    min_coverage_mm: float,
    max_thickness_mm: float,
    spacing_tolerance: float,
    axial_tolerance_deg: float,
    most_cut_mm: float,
    most_step_mm: float,
    workers: int = 2,
) -> CtScan:
    """Read the CT series of a folder that is to be measured.

    Args:
        folder: searched with everything below it.
        min_coverage_mm: shortest series considered.
        max_thickness_mm: thickest slices accepted.
        spacing_tolerance: accepted departure of a slice distance from the mean, as a fraction.
        axial_tolerance_deg: accepted angle between slice normal and long axis.
        most_cut_mm: see `ct_warnings`.
        most_step_mm: see `ct_warnings`.
        workers: decoding threads.

    Raises:
        Withheld: nothing in the folder can be measured; the code says why.
    """
    slices, others = read_slices(folder)
    if not slices:
        raise UnreadableInput("CT folder", "content", "CT images", _counted(others) or "no files", "ING-EMPTY")
    series, alternatives = choose(group(slices), min_coverage_mm=min_coverage_mm, max_thickness_mm=max_thickness_mm)
    person = one_person([item.person for item in series.slices])
    single, copies = without_copies(series)
    ordered, grid = ordered_grid(
        single,
        spacing_tolerance=spacing_tolerance,
        axial_tolerance_deg=axial_tolerance_deg,
        max_thickness_mm=max_thickness_mm,
    )
    array, padded = hounsfield_volume(ordered, workers)
    volume = axial_order(Volume(array, grid))
    repairs = []
    if copies:
        repairs.append(f"{copies} exact copies of slices left out")
    if padded:
        repairs.append(f"{padded} padded pixels set to {AIR_HU} HU")
    if not volume.grid.matches(grid):
        repairs.append("axes reordered to superior, posterior, left")
    facts = {
        "shape": list(volume.grid.shape),
        "spacing_mm": [round(float(length), 6) for length in volume.grid.spacing_mm],
        "slice_thickness_mm": series.slices[0].thickness_mm,
        "kernel": label(series.slices[0].kernel),
        **acquisition_facts(single),
        "series": single.facts(),
        "alternatives": alternatives,
        "other_objects": dict(sorted(others.items())),
        "repairs": repairs,
    }
    limits = {"most_cut_mm": most_cut_mm, "most_step_mm": most_step_mm}
    return CtScan(volume, facts, ct_warnings(volume, has_contrast=facts["has_contrast"], **limits), person)


def axial_order(volume: Volume) -> Volume:
    """The same voxels with axes swapped and turned so that k, j, i go most nearly to superior, posterior, left.

    Exact for any orientation: nothing is interpolated.
    """
    directions = volume.grid.world_from_index[:3, :3] / volume.grid.spacing_mm
    axes = _axis_of_each_direction(directions)
    array = volume.array.transpose(axes)
    linear = volume.grid.world_from_index[:3, axes].copy()
    origin_mm = volume.grid.world_from_index[:3, 3].copy()
    for new, world in enumerate((2, 1, 0)):
        if linear[world, new] < 0:
            origin_mm += linear[:, new] * (array.shape[new] - 1)
            linear[:, new] *= -1
            array = np.flip(array, new)
    return Volume(np.ascontiguousarray(array), VoxelGrid(array.shape, affine(linear, origin_mm)))


def _axis_of_each_direction(directions: Float[np.ndarray, "3 3"]) -> list[int]:
    """Array axis that runs most nearly along z, then along y, then the one left."""
    along_z = int(np.argmax(np.abs(directions[2])))
    rest = [axis for axis in range(3) if axis != along_z]
    along_y = max(rest, key=lambda axis: abs(directions[1, axis]))
    along_x = next(axis for axis in rest if axis != along_y)
    return [along_z, along_y, along_x]


def _counted(others: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
