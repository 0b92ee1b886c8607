"""How well a segmented bone agrees with a reference: overlap, distance of the surfaces, volume."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage
from scipy.spatial import cKDTree

from osteoray.geometry.affines import apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import Bone


@dataclass(frozen=True)
class Agreement:
    """Agreement of a mask with its reference.

    Attributes:
        dice: Dice coefficient; 0 if one of the two is empty.
        asd_mm: average symmetric surface distance (Styner 2008): mean over the area of both surfaces of the distance
            to the other one; NaN if a mask has no surface.
        hd95_mm: the larger of the two 95th percentiles of these distances; NaN if a mask has no surface.
        volume_error_percent: volume over the reference's, less 1; NaN without a reference.
    """

    dice: float
    asd_mm: float
    hd95_mm: float
    volume_error_percent: float


def bone_agreements(
    found: UInt8[np.ndarray, "k j i"], reference: UInt8[np.ndarray, "k j i"], grid: VoxelGrid
) -> dict[Bone, Agreement]:
    """Agreement of every bone that is in either of two label volumes.

    Args:
        found: labels of `Bone`.
        reference: labels of `Bone`.
        grid: of both.
    """
    boxes = [ndimage.find_objects(labels, len(Bone)) for labels in (found, reference)]
    agreements = {}
    for bone in Bone:
        pair = [box for box in (boxes[0][bone - 1], boxes[1][bone - 1]) if box is not None]
        if pair:
            box = _around(pair, grid.shape)
            cropped = grid.crop(tuple(axis.start for axis in box), tuple(axis.stop - axis.start for axis in box))
            agreements[bone] = mask_agreement(found[box] == bone, reference[box] == bone, cropped)
    return agreements


def mask_agreement(
    found: Bool[np.ndarray, "k j i"], reference: Bool[np.ndarray, "k j i"], grid: VoxelGrid
) -> Agreement:
    """Agreement of one mask with its reference.

    Args:
        found: the mask.
        reference: the mask that it should be.
        grid: of both.
    """
    volumes = int(np.count_nonzero(found)), int(np.count_nonzero(reference))
    dice = 2 * np.count_nonzero(found & reference) / max(sum(volumes), 1) if any(volumes) else np.nan
    asd_mm, hd95_mm = _surface_distances_mm(found, reference, grid)
    error = 100 * (volumes[0] / volumes[1] - 1) if volumes[1] else np.nan
    return Agreement(float(dice), asd_mm, hd95_mm, error)


def _around(boxes: list[tuple[slice, slice, slice]], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """The smallest box around others and one voxel more, where the array has it."""
    k, j, i = (
        slice(max(min(s.start for s in axis) - 1, 0), min(max(s.stop for s in axis) + 1, size))
        for axis, size in zip(zip(*boxes, strict=True), shape, strict=True)
    )
    return k, j, i


def _surface_distances_mm(
    found: Bool[np.ndarray, "k j i"], reference: Bool[np.ndarray, "k j i"], grid: VoxelGrid
) -> tuple[float, float]:
    """Average symmetric surface distance and the 95th percentile of the Hausdorff distance."""
    (points, area), (others, other_area) = (surface_points(mask, grid) for mask in (found, reference))
    if len(points) == 0 or len(others) == 0:
        return float("nan"), float("nan")
    there, back = cKDTree(others).query(points)[0], cKDTree(points).query(others)[0]
    total = (there * area).sum() + (back * other_area).sum()
    asd_mm = total / (area.sum() + other_area.sum())
    return float(asd_mm), max(_percentile(there, area, 0.95), _percentile(back, other_area, 0.95))


def surface_points(
    mask: Bool[np.ndarray, "k j i"], grid: VoxelGrid
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """The surface of a mask as a net (Gibson 1998): a point in every cell between eight voxels that it passes.

    A cell's point is the mean of the midpoints between neighbouring voxels inside and outside, which takes most of the
    staircase away; the area of the face between two such voxels is shared by the four cells around it. Voxels at the
    border of the array have no face there: where a scan ends is no surface of a bone.

    Returns:
        LPS positions in mm and areas in mm².
    """
    cells, middles, areas = [], [], []
    for axis in range(3):
        crossing = np.argwhere(np.diff(mask, axis=axis))
        edges = np.delete(grid.world_from_index[:3, :3], axis, axis=1)
        face_mm2 = float(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1])))
        for step in product((0, 1), repeat=2):
            cells.append(crossing - np.insert(step, axis, 0) + 1)
            middles.append(crossing + 0.5 * (np.arange(3) == axis))
            areas.append(np.full(len(crossing), face_mm2 / 4))
    flat = np.ravel_multi_index(tuple(np.concatenate(cells).T), tuple(n + 1 for n in mask.shape))
    _, cell = np.unique(flat, return_inverse=True)
    sums = [np.bincount(cell, weights) for weights in np.concatenate(middles).T]
    index = np.stack(sums, axis=-1) / np.bincount(cell)[:, None]
    return apply_affine(grid.world_from_index, index), np.bincount(cell, np.concatenate(areas))


def _percentile(values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"], share: float) -> float:
    """The smallest value that this share of the weight does not exceed."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1])])
