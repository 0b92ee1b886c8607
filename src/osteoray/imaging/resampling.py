"""Resampling of volumes and images by SimpleITK and scikit-style area-aware resizing."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Volume


def to_sitk(volume: Volume) -> sitk.Image:
    """The volume as a SimpleITK image with the same place in the world."""
    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    image = sitk.GetImageFromArray(array)
    direction = volume.grid.world_from_index[:3, [2, 1, 0]]
    spacing_mm = np.linalg.norm(direction, axis=0)
    image.SetSpacing(spacing_mm.tolist())
    image.SetOrigin(volume.grid.world_from_index[:3, 3].tolist())
    image.SetDirection((direction / spacing_mm).ravel().tolist())
    return image


def resample(volume: Volume, grid: VoxelGrid, *, nearest: bool = False, outside: float = 0.0) -> Volume:
    """Values of a volume at the voxels of another grid.

    Args:
        volume: what to sample.
        grid: where; must be orthogonal.
        nearest: nearest neighbour (labels) instead of linear interpolation.
        outside: value beyond the volume.
    """
    source = to_sitk(volume)
    target = to_sitk(Volume(np.zeros(grid.shape, np.uint8), grid))
    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    image = sitk.Resample(source, target, sitk.Transform(), interpolator, float(outside), source.GetPixelID())
    return Volume(sitk.GetArrayFromImage(image), grid)


def spaced(volume: Volume, spacing_mm: tuple[float, float, float], *, nearest: bool = False) -> Volume:
    """The volume on a grid of the same extent with other voxel sizes along k, j, i.

    Linear values are smoothed first where voxels grow, so that nothing aliases.
    """
    old = volume.grid.spacing_mm
    new = np.asarray(spacing_mm, float)
    shape = tuple(int(n) for n in np.maximum(np.round(np.array(volume.grid.shape) * old / new), 1))
    linear = volume.grid.world_from_index[:3, :3] / old * new
    first = volume.grid.world_from_index[:3, 3]
    # Outer edges coincide: the first centre moves by half the difference of the voxel sizes.
    origin_mm = first + (volume.grid.world_from_index[:3, :3] / old) @ ((new - old) / 2)
    world_from_index = np.eye(4)
    world_from_index[:3, :3] = linear
    world_from_index[:3, 3] = origin_mm
    grid = VoxelGrid(shape, world_from_index)
    if not nearest and (new > old * 1.2).any():
        image = sitk.Cast(to_sitk(volume), sitk.sitkFloat32)
        sigma_mm = np.where(new > old * 1.2, 0.4 * np.sqrt(np.maximum(new**2 - old**2, 1e-6)), 1e-3)
        image = sitk.DiscreteGaussian(image, (sigma_mm[::-1] ** 2).tolist())
        volume = Volume(sitk.GetArrayFromImage(image), volume.grid)
    return resample(volume, grid, nearest=nearest)


def resize_image(image: Float[np.ndarray, "rows columns"], shape: tuple[int, ...]) -> Float[np.ndarray, "r c"]:
    """Resize an image over the same extent: area average when shrinking, linear when growing.

    Values are intensive (areal density, attenuation): they are averaged, never summed.
    """
    rows, columns = image.shape
    weights_row = resize_weights(rows, shape[0])
    weights_column = resize_weights(columns, shape[1])
    return (weights_row @ image.astype(np.float64) @ weights_column.T).astype(image.dtype)


def resize_weights(size: int, new_size: int) -> Float[np.ndarray, "new old"]:
    """Rows of interpolation weights: a triangle as wide as the larger of the two pixels."""
    scale = size / new_size
    centres = (np.arange(new_size) + 0.5) * scale - 0.5
    width = max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(size)[None, :] - centres[:, None]) / width)
    # Beyond the first and last centre the edge value holds.
    weights[centres < 0, :] = np.eye(1, size)
    weights[centres > size - 1, :] = np.eye(1, size, size - 1)
    return weights / weights.sum(axis=1, keepdims=True)
