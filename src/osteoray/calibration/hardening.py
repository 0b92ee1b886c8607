"""Beam hardening that a scanner's own correction leaves, taken out of a CT: cupping, and dark bands around bone.

A correction for water that is slightly off misreads a ray that meets p cm of water by c p² (Herman 1979). One that
knows water alone misreads bone as well, by what `misread_by_bone_cm` says; many scanners mend a part of that.
Reconstructed, both are errors of every voxel, which the CT itself tells but for c and for the share of bone that is
left. A cylinder of water with rods of bone tells both (`water`), as in the empirical corrections of Kachelrieß,
Sourbelle and Kalender (2006) and of Kyriakou et al. (2010), here on parallel rays through the finished image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from osteoray.calibration.physics import expected, mineral_over_water, misread_by_bone_cm
from osteoray.imaging.resampling import resize_weights
from osteoray.imaging.volume import Volume
from osteoray.radiography.tomography import project, reconstruct

PIXEL_MM, STEP_MM, ANGLES = 3.0, 6.0, 120
"""Pixels, slice distance and directions of the error, which is as smooth as the paths of rays are."""

DENSEST = 3.0
"""Attenuation over that of water, as of cortex; metal, which neither error describes, counts as much."""
DENSEST_HU = 1000 * (DENSEST - 1)
BONE_HU, LARGEST_HOLE_MM2 = 120.0, 2500.0
"""What reads higher is bone, and so is what it encloses, up to the size of a femoral head."""
FLOOR_HU = -1024
"""Smallest HU, also what ingest writes outside the field of view: nothing was measured there."""


@dataclass(frozen=True)
class Hardening:
    """What a scanner's correction leaves.

    Attributes:
        quadratic_per_cm: c; positive where the middle of a body reads too low.
        bone_share: of the error by bone that a correction for water alone makes, 0 to 1; None if nothing tells it.
    """

    quadratic_per_cm: float
    bone_share: float | None = None


def without_hardening(volume: Volume, left: Hardening, kvp: float) -> Volume:
    """A CT without the errors that its scanner left, in whole HU like any CT.

    Args:
        volume: HU on an axial grid; what lies in the field of view counts, couch and phantom included.
        left: by the scanner; nothing is done for bone without a share.
        kvp: tube voltage, of `CT_KVP` where bone counts.
    """
    slabs = _slabs(volume)
    middles = np.array([(slab[0] + slab[-1]) / 2 for slab in slabs])
    up, across = (resize_weights(new, old).astype(np.float32) for old, new in _sizes(volume))
    errors_hu = [_error_hu(volume, slab, left, kvp) for slab in slabs]
    hu = np.empty(volume.array.shape, np.int16)
    for k, plane in enumerate(volume.array):
        place = float(np.interp(k, middles, np.arange(len(middles))))
        below = min(int(place), max(len(errors_hu) - 2, 0))
        above = min(below + 1, len(errors_hu) - 1)
        error_hu = errors_hu[below] + np.float32(place - below) * (errors_hu[above] - errors_hu[below])
        corrected = np.clip(np.rint(plane - up @ error_hu @ across.T), FLOOR_HU, np.iinfo(np.int16).max)
        hu[k] = np.where(plane <= FLOOR_HU, plane, corrected)
    return Volume(hu, volume.grid)


def unit_errors_hu(
    mean_hu: Float32[np.ndarray, "j i"], is_bone: Bool[np.ndarray, "j i"], volume: Volume, kvp: float
) -> tuple[Float32[np.ndarray, "j i"], Float32[np.ndarray, "j i"]]:
    """What c of 1 / cm, and all of the error by bone, would add to an image; HU on its own pixels.

    Args:
        mean_hu: mean of slices of the volume.
        is_bone: what of it is.
        volume: says how large pixels are.
        kvp: tube voltage, of `CT_KVP`.
    """
    up, across = (resize_weights(new, old).astype(np.float32) for old, new in _sizes(volume))
    by_water_cm2, by_bone_cm, place = _misread(mean_hu, is_bone, volume, kvp)
    squared, bone = (_reconstructed_hu(misread, place) for misread in (by_water_cm2, by_bone_cm))
    return up @ squared @ across.T, up @ bone @ across.T


def _error_hu(volume: Volume, slab: np.ndarray, left: Hardening, kvp: float) -> Float32[np.ndarray, "j i"]:
    """Error of the mean of some slices, on coarse pixels."""
    mean_hu = volume.array[slab[0] : slab[-1] + 1].mean(axis=0, dtype=np.float32)
    is_bone = None if left.bone_share is None else _is_bone(mean_hu, volume.grid.spacing_mm[1:])
    by_water_cm2, by_bone_cm, place = _misread(mean_hu, is_bone, volume, kvp)
    share = np.float32(left.bone_share or 0)
    return _reconstructed_hu(np.float32(left.quadratic_per_cm) * by_water_cm2 + share * by_bone_cm, place)


Place = tuple[slice, slice]


def _misread(
    mean_hu: Float32[np.ndarray, "j i"], is_bone: Bool[np.ndarray, "j i"] | None, volume: Volume, kvp: float
) -> tuple[Float32[np.ndarray, "angles n"], Float32[np.ndarray, "angles n"], Place]:
    """By how much rays through an image are read too long: where c is 1 / cm, and where all of bone's error is left
    (nothing without bone); and the image's place in the square that was projected."""
    rows, columns = (resize_weights(old, new).astype(np.float32) for old, new in _sizes(volume))
    relative = np.clip(rows @ mean_hu @ columns.T / 1000 + 1, 0, DENSEST).astype(np.float32)
    size = max(relative.shape)
    above, before = ((size - length) // 2 for length in relative.shape)
    place = (slice(above, above + relative.shape[0]), slice(before, before + relative.shape[1]))
    squares = np.zeros((1 if is_bone is None else 2, size, size), np.float32)
    squares[0][place] = relative
    if is_bone is None:
        path_cm = project(squares, ANGLES)[0] * np.float32(PIXEL_MM / 10)
        return -(path_cm**2), np.zeros_like(path_cm), place
    bone_hu = np.where(is_bone, np.clip(mean_hu, 0, DENSEST_HU), 0)
    # As QCT reads it: hydroxyapatite that displaces water.
    mineral_g_cm3 = expected(kvp).slope_mg_cm3_per_hu / 1000 * bone_hu.astype(np.float32)
    squares[1][place] = rows @ mineral_g_cm3 @ columns.T
    path_cm, mineral_g_cm2 = project(squares, ANGLES) * np.float32(PIXEL_MM / 10)
    water_cm = path_cm - np.float32(mineral_over_water(kvp)) * mineral_g_cm2
    return -(path_cm**2), misread_by_bone_cm(water_cm, mineral_g_cm2, kvp), place


def _is_bone(mean_hu: Float32[np.ndarray, "j i"], spacing_mm: np.ndarray) -> Bool[np.ndarray, "j i"]:
    """Cortex, and the marrow and spongy bone that it encloses."""
    cortex = mean_hu > BONE_HU
    holes, count = ndimage.label(~cortex)
    areas_mm2 = np.bincount(holes.ravel(), minlength=count + 1) * float(np.prod(spacing_mm))
    return cortex | (areas_mm2 <= LARGEST_HOLE_MM2)[holes]


def _reconstructed_hu(misread_cm: Float32[np.ndarray, "angles n"], place: Place) -> Float32[np.ndarray, "j i"]:
    """The error of an image whose rays are misread, in HU."""
    return (1000 * reconstruct(misread_cm / (PIXEL_MM / 10))[place]).astype(np.float32)


def _slabs(volume: Volume) -> list[np.ndarray]:
    """Indices of the slices of each slab of about `STEP_MM`."""
    count = volume.grid.shape[0]
    return np.array_split(
        np.arange(count), min(max(round(count * float(volume.grid.spacing_mm[0]) / STEP_MM), 1), count)
    )


def _sizes(volume: Volume) -> list[tuple[int, int]]:
    """Rows and columns of the CT, and of the square pixels of the error."""
    lengths = zip(volume.grid.shape[1:], volume.grid.spacing_mm[1:], strict=True)
    return [(count, max(round(count * float(mm) / PIXEL_MM), 1)) for count, mm in lengths]
