"""Reading a CT folder with the settings of the tests, and by an independent reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from osteoray.geometry.affines import apply_affine
from osteoray.imaging.volume import Volume
from osteoray.ingest.ct import CtScan, read_ct


def read(folder: Path, **changes: float) -> CtScan:
    settings = {"min_coverage_mm": 20.0, "max_thickness_mm": 3.0, "spacing_tolerance": 0.01, "axial_tolerance_deg": 5.0}
    settings |= {"most_cut_mm": 40.0, "most_step_mm": 2.5}
    return read_ct(folder, **(settings | changes))


def independent(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def values_at(volume: Volume, points_mm: np.ndarray) -> np.ndarray:
    index = np.round(apply_affine(volume.grid.index_from_world, points_mm)).astype(int)
    return volume.array[tuple(index.T)]


def assert_same_world(volume: Volume, image: sitk.Image) -> None:
    """The same value at the same place in the patient, at 200 voxels."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, image.GetSize(), (200, 3)).tolist()
    points_mm = np.array([image.TransformIndexToPhysicalPoint(index) for index in indices])
    expected = [image.GetPixel(index) for index in indices]
    assert values_at(volume, points_mm).tolist() == expected
