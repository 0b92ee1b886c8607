"""A virtual body from a real label map: real shapes, slightly deformed, with drawn mineral and soft tissue."""

from __future__ import annotations

from functools import partial

import numba
import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.geometry.rigid import rotation_from_vector
from osteoray.imaging.bones import FEMUR, Bone, Side
from osteoray.imaging.volume import Volume
from osteoray.simulation.body import Body, FemurTruth
from osteoray.simulation.composition import Composition, add_bone, add_soft_tissue, masses_g_cm3, occupied
from osteoray.simulation.density import axial_fields, femur_fields, hip_fields
from osteoray.simulation.femur_fit import fit_femur
from osteoray.simulation.medial_mesh import Box
from osteoray.simulation.proximal import proximal_femur_labels
from osteoray.simulation.soft_tissue import FAT_LEAN_SHARE, SKIN_MM
from osteoray.simulation.texture import Wobble, random_field

PELVIS_LABEL, FEMUR_LABEL, SACRUM_LABEL, SPINE_LABEL, FIRST_MUSCLE_LABEL = 1, 2, 3, 4, 5
"""Labels of the map (Hiasa 2018); every label from the last on is a muscle."""

_BAND_MM = 8.0
_MARGIN_MM = 12.0
_ABOVE_CREST_MM = 75.0
_JOINT_GAP_MM = 2.0
_LATTICE_MM = 12.0
_HIP = {Side.LEFT: Bone.LEFT_HIP, Side.RIGHT: Bone.RIGHT_HIP}


def labelmap_body(
    labels: Volume, mask: Volume, spacing_mm: float, bmd_scale: float, deformation: float, rng: np.random.Generator
) -> Body:
    """Build a virtual patient from a label map of bones and muscles.

    Args:
        labels: axial label map (see the label constants), both sides under one label.
        mask: the body, on the same grid.
        spacing_mm: edge of the cubic voxels to make.
        bmd_scale: density relative to the mean patient.
        deformation: 0 keeps the shapes, 1 is a typical random deformation (3 % scales, 2 degrees, 2 mm).
        rng: source of deformation, texture and organs.

    Raises:
        ValueError: a femur is too short for its landmarks.
    """
    labels, mask = _up_to_spine(labels, labels), _up_to_spine(mask, labels)
    grid = _grid(labels, mask, spacing_mm)
    source = _SourceIndex(grid, labels.grid, deformation, rng)
    composition = Composition.empty(grid)
    truths = _add_bones(composition, labels, source, bmd_scale, rng)
    skin_mm = source.distance_mm(mask.array > 0, 60.0, 3)[1]
    muscle_mm = source.distance_mm(labels.array >= FIRST_MUSCLE_LABEL, 3.0, 3)[1]
    lean = np.full(grid.shape, FAT_LEAN_SHARE, np.float32)
    deep = skin_mm < -45.0
    lean[deep] = np.clip(0.55 + 1.2 * random_field(grid, 28.0, rng), 0.1, 0.97)[deep]
    muscle = occupied(muscle_mm, spacing_mm)
    infiltrated = 1.0 - np.clip(0.08 * (1.0 + random_field(grid, 9.0, rng)), 0.0, 0.6)
    lean += muscle * (infiltrated - lean)
    lean[skin_mm > -SKIN_MM] = 0.98
    add_soft_tissue(composition, occupied(skin_mm, spacing_mm).astype(np.float32), lean)
    adipose, lean_mass = masses_g_cm3(composition)
    return Body(
        grid=grid,
        bones=composition.bones,
        ha_mg_cm3=composition.ha_mg_cm3,
        adipose_g_cm3=adipose,
        lean_g_cm3=lean_mass,
        femurs=truths,
        proximal_femur=proximal_femur_labels(composition.bones, grid, truths),
        description={"bmd_scale": bmd_scale, "deformation": deformation},
    )


def _up_to_spine(volume: Volume, labels: Volume) -> Volume:
    """The slices of a volume from the lowest one to what X-rays of the hips show above the iliac crest."""
    crest = int(np.flatnonzero((labels.array == PELVIS_LABEL).any(axis=(1, 2))).max())
    above = int(np.ceil((_ABOVE_CREST_MM + _MARGIN_MM) / labels.grid.spacing_mm[0]))
    array = volume.array[: crest + above]
    return Volume(array, volume.grid.crop((0, 0, 0), array.shape))


def solid_spine(spine: Bool[np.ndarray, "k j i"]) -> Bool[np.ndarray, "k j i"]:
    """A spine whose bodies are full where only their walls were drawn; the canal stays open.

    A hole of a slice is marrow if it lies in front of the middle of what was drawn, and canal otherwise.

    Args:
        spine: the drawn label, j to posterior.
    """
    full = spine.copy()
    for k in np.flatnonzero(spine.any(axis=(1, 2))):
        closed = ndimage.binary_closing(spine[k], iterations=2) | spine[k]
        holes, _ = ndimage.label(ndimage.binary_fill_holes(closed) & ~closed)
        middle = np.flatnonzero(spine[k].any(axis=1)).mean()
        for number, window in enumerate(ndimage.find_objects(holes), start=1):
            if (window[0].start + window[0].stop) / 2 < middle:
                closed[window] |= holes[window] == number
        full[k] = closed
    return full


def _grid(labels: Volume, mask: Volume, spacing_mm: float) -> VoxelGrid:
    """Grid around the body over all slices but a margin at the top, which deformation may need."""
    old = labels.grid
    body = np.argwhere(mask.array[::2, ::4, ::4] > 0) * np.array([2, 4, 4])
    low = apply_affine(old.world_from_index, body.min(axis=0).astype(float)) - _MARGIN_MM
    high = apply_affine(old.world_from_index, body.max(axis=0).astype(float)) + _MARGIN_MM
    low[2] = old.world_from_index[2, 3]
    high[2] = low[2] + (old.shape[0] - 1) * old.spacing_mm[0] - _MARGIN_MM
    n_k, n_j, n_i = (int(extent / spacing_mm) + 1 for extent in (high - low)[::-1])
    return VoxelGrid.axial((n_k, n_j, n_i), (spacing_mm,) * 3, (low[0], low[1], low[2]))


class _SourceIndex:
    """Where in the label map each voxel of the new grid comes from, on a coarse lattice."""

    def __init__(self, grid: VoxelGrid, source: VoxelGrid, deformation: float, rng: np.random.Generator):
        self._grid, self._source = grid, source
        rotation = rotation_from_vector(np.radians(2.0) * deformation * rng.standard_normal(3))
        linear = rotation @ np.diag(1.0 + 0.03 * deformation * rng.standard_normal(3))
        wobble = Wobble(rng, 50.0, 2.0 * deformation)
        n_k, n_j, n_i = (np.ceil(np.array(grid.shape) * grid.spacing_mm / _LATTICE_MM).astype(int) + 2).tolist()
        lattice = VoxelGrid.axial((n_k, n_j, n_i), (_LATTICE_MM,) * 3, tuple(grid.world_from_index[:3, 3]))
        offset = lattice.coordinates_mm().reshape(-1, 3) - grid.centre_mm
        points = wobble(offset) @ linear.T + grid.centre_mm
        self._index = apply_affine(source.index_from_world, points).reshape(*lattice.shape, 3).astype(np.float32)

    def distance_mm(
        self, mask: Bool[np.ndarray, "k j i"], band_mm: float, step: int = 1
    ) -> tuple[Box, Float32[np.ndarray, "k j i"]]:
        """Signed distance to a part of the label map, interpolated between slices (shape-based, Raya 1990).

        Args:
            mask: the part, on the label map's grid.
            band_mm: margin of the box around the part, and cap of the distance outside.
            step: in-plane subsampling of the label map; above 1 the whole grid is returned.

        Returns:
            Box of the new grid around the part, and the distance there.
        """
        start, part = _cropped(mask, np.ceil(band_mm / self._source.spacing_mm).astype(int) + 1)
        part = part[:, ::step, ::step]
        steps = np.array([1, step, step])
        distance = _signed_distance_mm(part, self._source.spacing_mm * steps)
        n_k, n_j, n_i = self._grid.shape
        whole = slice(0, n_k), slice(0, n_j), slice(0, n_i)
        box = self._box(start, np.array(part.shape)) if step == 1 else whole
        out = np.full([s.stop - s.start for s in box], band_mm, np.float32)
        first = np.array([s.start for s in box])
        _sample(out, first, self._grid.spacing_mm / _LATTICE_MM, self._index, distance, start, steps, band_mm)
        return box, out

    def _box(self, start: np.ndarray, shape: np.ndarray) -> Box:
        """Part of the new grid that holds every lattice cell reaching into a box of the label map."""
        hit = ((self._index >= start) & (self._index <= start + shape)).all(axis=-1)
        cells = np.argwhere(hit)
        per_cell = _LATTICE_MM / self._grid.spacing_mm
        low = np.maximum(np.floor((cells.min(axis=0) - 1) * per_cell), 0).astype(int).tolist()
        high = np.minimum(np.ceil((cells.max(axis=0) + 1) * per_cell), self._grid.shape).astype(int).tolist()
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _cropped(mask: Bool[np.ndarray, "k j i"], margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First index and content of the box around a mask, padded with background past the ends of the stack's plane."""
    start, stop = [], []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        start.append(max(int(inside[0]) - int(margin[axis]), 0))
        stop.append(min(int(inside[-1]) + int(margin[axis]) + 1, mask.shape[axis]))
    return np.array(start), mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]


def _signed_distance_mm(mask: Bool[np.ndarray, "k j i"], spacing_mm: np.ndarray) -> Float32[np.ndarray, "k j i"]:
    """Distance to the surface of a mask, negative inside, with the steps of the voxels smoothed away.

    The ends of the stack cut bones and body: they count as inside, so that no cap is invented there.
    """
    padded = np.pad(mask, ((2, 2), (0, 0), (0, 0)), mode="edge")
    half_mm = 0.5 * spacing_mm[2]
    inside = ndimage.distance_transform_edt(padded, sampling=spacing_mm) - half_mm
    outside = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) - half_mm
    distance = np.where(padded, -inside, outside).astype(np.float32)
    return ndimage.gaussian_filter(distance, np.array([1.2, 0.8, 0.8]) / spacing_mm)[2:-2]


def _add_bones(
    composition: Composition, labels: Volume, source: _SourceIndex, bmd_scale: float, rng: np.random.Generator
) -> dict[Side, FemurTruth]:
    """Femurs, hip bones, sacrum and spine, in this order; the joints keep a gap."""
    grid, array = composition.grid, labels.array
    middle = float(np.argwhere(array[::2, ::2, ::2] == PELVIS_LABEL)[:, 2].mean()) * 2
    sides = {Side.LEFT: np.arange(array.shape[2]) > middle, Side.RIGHT: np.arange(array.shape[2]) <= middle}
    taken_mm = np.full(grid.shape, _BAND_MM, np.float32)
    truths = {}
    for side, half in sides.items():
        box, distance = source.distance_mm((array == FEMUR_LABEL) & half, _BAND_MM)
        truth = fit_femur(distance, grid.crop(tuple(s.start for s in box), distance.shape), side, rng)
        seed, voxel_mm = int(rng.integers(2**31)), float(grid.spacing_mm[0])
        fields = partial(femur_fields, femur=truth, bmd_scale=bmd_scale, voxel_mm=voxel_mm, seed=seed)
        add_bone(composition, box, distance, FEMUR[side], fields, bmd_scale, 0.92, rng)
        taken_mm[box] = np.minimum(taken_mm[box], distance)
        truths[side] = truth
    seed, voxel_mm = int(rng.integers(2**31)), float(grid.spacing_mm[0])
    axial = partial(axial_fields, bmd_scale=bmd_scale, voxel_mm=voxel_mm, seed=seed)
    parts: list[tuple[np.ndarray, int, partial]] = [
        ((array == PELVIS_LABEL) & half, _HIP[side], _hip_of(truths[side], bmd_scale)) for side, half in sides.items()
    ]
    parts += [(array == SACRUM_LABEL, Bone.SACRUM, axial), (solid_spine(array == SPINE_LABEL), 0, axial)]
    for mask, label, fields in parts:
        box, distance = source.distance_mm(mask, _BAND_MM)
        distance = np.maximum(distance, _JOINT_GAP_MM - taken_mm[box])
        add_bone(composition, box, distance, label, fields, bmd_scale, 0.5, rng)
        taken_mm[box] = np.minimum(taken_mm[box], distance)
    return truths


def _hip_of(truth: FemurTruth, bmd_scale: float) -> partial:
    """Mineral fields of the hip bone around a femoral head."""
    socket_mm = truth.head_radius_mm + _JOINT_GAP_MM
    return partial(hip_fields, head_centre_mm=truth.head_centre_mm, socket_mm=socket_mm, bmd_scale=bmd_scale)


@numba.njit(cache=True, fastmath=True)
def _sample(out, first, steps, index, distance, start, stride, band):
    """Trilinear values of `distance` at the source index of each voxel, itself trilinear in its lattice."""
    n_k, n_j, n_i = distance.shape
    for k in range(out.shape[0]):
        w = (k + first[0]) * steps[0]
        lk, fk = int(w), w - int(w)
        for j in range(out.shape[1]):
            w = (j + first[1]) * steps[1]
            lj, fj = int(w), w - int(w)
            line = (1 - fk) * ((1 - fj) * index[lk, lj] + fj * index[lk, lj + 1]) + fk * (
                (1 - fj) * index[lk + 1, lj] + fj * index[lk + 1, lj + 1]
            )
            for i in range(out.shape[2]):
                w = (i + first[2]) * steps[2]
                li, fi = int(w), w - int(w)
                z = ((1 - fi) * line[li, 0] + fi * line[li + 1, 0] - start[0]) / stride[0]
                y = ((1 - fi) * line[li, 1] + fi * line[li + 1, 1] - start[1]) / stride[1]
                x = ((1 - fi) * line[li, 2] + fi * line[li + 1, 2] - start[2]) / stride[2]
                # Beyond the first and last slice the end slice goes on; beyond the sides there is nothing.
                z = min(max(z, 0.0), n_k - 1.001)
                if y < 0 or x < 0 or y > n_j - 1.001 or x > n_i - 1.001:
                    continue
                a, b, c = int(z), int(y), int(x)
                u, v, t = z - a, y - b, x - c
                low = (1 - v) * ((1 - t) * distance[a, b, c] + t * distance[a, b, c + 1]) + v * (
                    (1 - t) * distance[a, b + 1, c] + t * distance[a, b + 1, c + 1]
                )
                high = (1 - v) * ((1 - t) * distance[a + 1, b, c] + t * distance[a + 1, b, c + 1]) + v * (
                    (1 - t) * distance[a + 1, b + 1, c] + t * distance[a + 1, b + 1, c + 1]
                )
                out[k, j, i] = min((1 - u) * low + u * high, band)
