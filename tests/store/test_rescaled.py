"""Integers stored with a line read as that line, exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume
from osteoray.store.nifti import read_volume, write_rescaled


def test_integers_read_as_the_line(tmp_path: Path) -> None:
    hu = np.arange(-1024, 3072, dtype=np.int16).reshape(16, 16, 16)
    write_rescaled(tmp_path / "qct.nii.gz", Volume(hu, VoxelGrid.axial(hu.shape, (2.0, 1.0, 1.0))), 0.7075, -1.25)
    found = read_volume(tmp_path / "qct.nii.gz").array
    np.testing.assert_allclose(found, hu * 0.7075 - 1.25, rtol=1e-6, atol=1e-4)


def test_other_types_are_refused(tmp_path: Path) -> None:
    volume = Volume(np.zeros((2, 2, 2), np.float32), VoxelGrid.axial((2, 2, 2), (1.0, 1.0, 1.0)))
    with pytest.raises(ValueError, match="volume: expected int16, got float32"):
        write_rescaled(tmp_path / "qct.nii", volume, 1.0, 0.0)
