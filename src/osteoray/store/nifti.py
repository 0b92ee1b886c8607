"""Volumes and radiographs as NIfTI.

On disk the affine is NIfTI's own (RAS, index i, j, k), so that every viewer shows the patient the right way round;
in memory it is the project's (LPS, index k, j, i). The translation happens here and nowhere else.
"""

from __future__ import annotations

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
from osteoray.store.gzipping import write_gzip

WORKERS = 2
"""Threads that compress."""
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
    if step is not None:
        scaled = np.round(array / step)
        if np.abs(scaled).max(initial=0) > 32767:
            raise ValueError(f"step: expected values within {32767 * step:g}, got {np.abs(array).max():g}")
        array = scaled.astype(np.int16)
    _write(path, array, volume.grid, None if step is None else (step, 0.0))


def write_rescaled(path: str | Path, volume: Volume, slope: float, intercept: float) -> None:
    """Write integers so that they read as slope · value + intercept: nothing is rounded, clipped or computed.

    Args:
        path: ends in .nii or .nii.gz.
        volume: int16.
        slope: of what readers shall see.
        intercept: of what readers shall see.

    Raises:
        ValueError: another type than int16.
    """
    if volume.array.dtype != np.int16:
        raise ValueError(f"volume: expected int16, got {volume.array.dtype}")
    _write(path, volume.array, volume.grid, (slope, intercept))


def _write(path: str | Path, array: np.ndarray, grid: VoxelGrid, scaling: tuple[float, float] | None) -> None:
    affine = _RAS_FROM_LPS @ grid.world_from_index @ _REVERSE_INDEX
    # NIfTI's order (i fastest) is that of the array in memory: nothing is copied.
    array = np.ascontiguousarray(array)
    image = nib.Nifti1Image(array.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    if scaling is not None:
        image.header.set_slope_inter(*scaling)
    parts = [memoryview(_header_bytes(image)), array.reshape(-1).view(np.uint8).data]
    with writing(path) as temporary, open(temporary, "wb") as file:
        if str(path).endswith(".gz"):
            write_gzip(file, parts, WORKERS)
        else:
            file.writelines(parts)


def _header_bytes(image: nib.Nifti1Image) -> bytes:
    """Header and the empty list of extensions, as nibabel would write them for voxels that are stored as they are."""
    header = image.header.copy()
    header.set_data_offset(352)
    if np.isnan(header["scl_slope"]):
        header.set_slope_inter(1.0, 0.0)
    return header.structarr.tobytes() + bytes(4)


def read_volume(path: str | Path, dtype: type | None = None, name: str | None = None) -> Volume:
    """Read a volume.

    Args:
        path: a three-dimensional NIfTI file.
        dtype: type to convert to; None keeps integers on disk as they are and scaled values as float32.
        name: how messages call the file, where its path may identify a person.

    Raises:
        UnreadableInput: missing, not NIfTI, or not three-dimensional.
    """
    try:
        image = nib.Nifti1Image.from_filename(path)
        proxy: Any = image.dataobj
        array = np.asarray(proxy.get_unscaled())
    except (OSError, EOFError, zlib.error, *_NOT_NIFTI) as error:
        reason = str(error).splitlines()[0] if name is None else type(error).__name__
        raise UnreadableInput(name or path, "file", "a NIfTI volume", reason, "TAB-PATH") from error
    if array.ndim != 3:
        raise UnreadableInput(name or path, "dimensions", "three", array.shape, "TAB-VALUE")
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
