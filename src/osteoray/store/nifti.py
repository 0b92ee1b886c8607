"""Volumes and radiographs as NIfTI.

On disk the affine is NIfTI's own (RAS, index i, j, k), so that every viewer shows the patient the right way round;
in memory it is the project's (LPS, index k, j, i). The translation happens here and nowhere else.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from osteoray.errors.unreadable import UnreadableInput
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.radiograph import Radiograph
from osteoray.imaging.volume import Volume
from osteoray.store.atomic import writing

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_REVERSE_INDEX = np.eye(4)[[2, 1, 0, 3]]
_NOT_NIFTI = (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError, nib.wrapstruct.WrapStructError)


def write_volume(path: str | Path, volume: Volume, step: float | None = None) -> None:
    """Write a volume; bool becomes uint8.

    Args:
        path: ends in .nii or .nii.gz.
        volume: what to write.
        step: store int16 multiples of this value instead of the array's own type (in the volume's unit).

    Raises:
        ValueError: a value does not fit into int16 at this step.
    """
    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    affine = _RAS_FROM_LPS @ volume.grid.world_from_index @ _REVERSE_INDEX
    if step is not None:
        scaled = np.round(array / step)
        if np.abs(scaled).max(initial=0) > 32767:
            raise ValueError(f"step: expected values within {32767 * step:g}, got {np.abs(array).max():g}")
        array = scaled.astype(np.int16)
    image = nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    if step is not None:
        image.header.set_slope_inter(step, 0.0)
    with writing(path) as temporary:
        # Level 1 is several times faster than the default. No name, no time stamp: equal volumes give equal bytes.
        if str(path).endswith(".gz"):
            with open(temporary, "wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
                file.write(image.to_bytes())
        else:
            temporary.write_bytes(image.to_bytes())


def read_volume(path: str | Path, dtype: type | None = None) -> Volume:
    """Read a volume.

    Args:
        path: a three-dimensional NIfTI file.
        dtype: type to convert to; None keeps integers on disk as they are and scaled values as float32.

    Raises:
        UnreadableInput: missing, not NIfTI, or not three-dimensional.
    """
    try:
        image = nib.Nifti1Image.from_filename(path)
        proxy: Any = image.dataobj
        array = np.asarray(proxy.get_unscaled())
    except (OSError, EOFError, zlib.error, *_NOT_NIFTI) as error:
        reason = str(error).splitlines()[0]
        raise UnreadableInput(path, "file", "a NIfTI volume", reason, "TAB-PATH") from error
    if array.ndim != 3:
        raise UnreadableInput(path, "dimensions", "three", array.shape, "TAB-VALUE")
    if (proxy.slope, proxy.inter) != (1.0, 0.0):
        array = array * np.float32(proxy.slope) + np.float32(proxy.inter)
    array = np.ascontiguousarray(array.transpose(2, 1, 0))
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    world_from_index = _RAS_FROM_LPS @ image.affine @ _REVERSE_INDEX
    return Volume(array, VoxelGrid(array.shape, world_from_index))


def write_radiograph(path: str | Path, radiograph: Radiograph) -> None:
    """Write a radiograph as a volume of one slice in the detector's own frame."""
    rows_mm, columns_mm = radiograph.spacing_mm
    grid = VoxelGrid.axial((1, *radiograph.array.shape), (1.0, rows_mm, columns_mm))
    write_volume(path, Volume(radiograph.array[None].astype(np.float32), grid))


def read_radiograph(path: str | Path) -> Radiograph:
    """Read a radiograph written by `write_radiograph`."""
    volume = read_volume(path, np.float32)
    _, rows_mm, columns_mm = volume.grid.spacing_mm
    return Radiograph(volume.array[0], (float(rows_mm), float(columns_mm)))
