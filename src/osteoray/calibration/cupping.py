"""Cupping: what a scanner's correction for water leaves of beam hardening, taken out of a CT.

A correction that is slightly off misreads a ray that meets p cm of water by c p² (Herman 1979). Reconstructed, that is
an error of every voxel, which the CT itself tells but for c; a cylinder of water tells c (`water`), as in the empirical
cupping correction of Kachelrieß, Sourbelle and Kalender (2006), here on parallel rays through the finished image.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from osteoray.imaging.resampling import resize_weights
from osteoray.imaging.volume import Volume
from osteoray.radiography.tomography import project, reconstruct

PIXEL_MM, STEP_MM, ANGLES = 3.0, 6.0, 120
"""Pixels, slice distance and directions of the error, which is as smooth as the paths of rays are."""

DENSEST = 3.0
"""Attenuation over that of water, as of cortex; metal, which no square describes, counts as much."""
FLOOR_HU = -1024
"""Smallest HU, also what ingest writes outside the field of view: nothing was measured there."""


def without_cupping(volume: Volume, quadratic_per_cm: float) -> Volume:
    """A CT without the error that c p² in its rays has made, in whole HU like any CT.

    Args:
        volume: HU on an axial grid; what lies in the field of view counts, couch and phantom included.
        quadratic_per_cm: c; positive where the middle of a body reads too low.
    """
    slabs = _slabs(volume)
    middles = np.array([(slab[0] + slab[-1]) / 2 for slab in slabs])
    rows, columns = ((resize_weights(old, new), resize_weights(new, old)) for old, new in _sizes(volume))
    errors = []
    for slab in slabs:
        mean_hu = volume.array[slab[0] : slab[-1] + 1].mean(axis=0, dtype=np.float32)
        relative = np.clip(rows[0] @ mean_hu @ columns[0].T / 1000 + 1, 0, DENSEST)
        errors.append(-1000 * quadratic_per_cm * _squared_paths(relative.astype(np.float32), PIXEL_MM / 10))
    up, across = rows[1].astype(np.float32), columns[1].T.astype(np.float32)
    hu = np.empty(volume.array.shape, np.int16)
    for k, plane in enumerate(volume.array):
        place = float(np.interp(k, middles, np.arange(len(middles))))
        below = min(int(place), max(len(errors) - 2, 0))
        above = min(below + 1, len(errors) - 1)
        error = errors[below] + np.float32(place - below) * (errors[above] - errors[below])
        corrected = np.clip(np.rint(plane - up @ error @ across), FLOOR_HU, np.iinfo(np.int16).max)
        hu[k] = np.where(plane <= FLOOR_HU, plane, corrected)
    return Volume(hu, volume.grid)


def _squared_paths(
    relative: Float32[np.ndarray, "rows columns"], pixel_cm: float
) -> Float32[np.ndarray, "rows columns"]:
    """Reconstruction of the squared paths through one slice, per cm: relative attenuation when multiplied by c."""
    size = max(relative.shape)
    above, before = ((size - length) // 2 for length in relative.shape)
    square = np.zeros((1, size, size), np.float32)
    inside = (slice(above, above + relative.shape[0]), slice(before, before + relative.shape[1]))
    square[0][inside] = relative
    paths_cm = project(square, ANGLES)[0] * np.float32(pixel_cm)
    return reconstruct(paths_cm**2 / pixel_cm)[inside]


def _slabs(volume: Volume) -> list[np.ndarray]:
    """Indices of the slices of each slab of about `STEP_MM`."""
    count = volume.grid.shape[0]
    return np.array_split(np.arange(count), max(round(count * float(volume.grid.spacing_mm[0]) / STEP_MM), 1))


def _sizes(volume: Volume) -> list[tuple[int, int]]:
    """Rows and columns of the CT, and of the square pixels of the error."""
    lengths = zip(volume.grid.shape[1:], volume.grid.spacing_mm[1:], strict=True)
    return [(count, max(round(count * float(mm) / PIXEL_MM), 1)) for count, mm in lengths]
