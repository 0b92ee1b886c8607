"""Shaded surfaces of label volumes: the first hit of parallel rays, lit from beside the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

from osteoray.geometry.affines import affine, apply_affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.resampling import resample
from osteoray.imaging.volume import Volume

LIGHT = np.array([-0.85, -0.4, -0.35])
"""Where the light comes from in the view's own axes (away, down, right): the viewer's upper left."""
AMBIENT = 0.36
FOG = 0.3
"""Part of the light that the farthest surface has lost."""
SMOOTHING_MM = 0.9
"""The smallest standard deviation by which masks are smoothed, so that voxels do not show as steps."""


def view_grid(
    bones: Volume, away: Float[np.ndarray, 3], down: Float[np.ndarray, 3], pixel_mm: float, margin_mm: float = 6.0
) -> VoxelGrid:
    """The grid of a view: k runs away from the viewer, j down and i to the right of the image.

    Args:
        bones: all that shall be seen; every voxel that is not 0 counts.
        away: unit vector of the rays.
        down: unit vector of the image's columns, orthogonal to `away`.
        pixel_mm: of the image, and step along the rays.
        margin_mm: room around the bones.
    """
    axes = np.stack([away, down, np.cross(down, away)], axis=1)
    boxes = ndimage.find_objects((bones.array > 0).astype(np.uint8))
    if not boxes:
        raise ValueError("bones: expected a voxel that is not 0, got none")
    low, high = _extent(boxes[0], bones.grid, axes)
    shape = tuple(int(n) for n in np.ceil((high - low + 2 * margin_mm) / pixel_mm))
    return VoxelGrid(shape, affine(axes * pixel_mm, axes @ (low - margin_mm)))


def render_surfaces(
    labels: Volume, colours: Mapping[int, tuple[float, float, float]], view: VoxelGrid
) -> tuple[Float32[np.ndarray, "rows columns 3"], Bool[np.ndarray, "rows columns"]]:
    """Shaded image of the surfaces of labels.

    Args:
        labels: label volume.
        colours: red, green, blue (0..1) of the labels to show.
        view: `view_grid`.

    Returns:
        The image, black where there is nothing, and where there is something.
    """
    rows, columns = view.shape[1:]
    image = np.zeros((rows, columns, 3), np.float32)
    nearest = np.full((rows, columns), np.inf)
    reach = float(view.shape[0])
    for label, box in enumerate(ndimage.find_objects(labels.array), start=1):
        if box is None or label not in colours:
            continue
        depth, shade, place = _surface(labels, label, box, view)
        closer = depth < nearest[place]
        fog = 1 - FOG * np.clip(depth[closer] / reach, 0, 1)
        image[place][closer] = np.asarray(colours[label]) * (shade[closer] * fog)[:, None]
        nearest[place][closer] = depth[closer]
    return np.clip(image, 0, 1), np.isfinite(nearest)


def _surface(
    labels: Volume, label: int, box: tuple[slice, slice, slice], view: VoxelGrid
) -> tuple[Float[np.ndarray, "r c"], Float[np.ndarray, "r c"], tuple[slice, slice]]:
    """Depth (in the view's voxels; infinite where there is nothing) and light of one label, and where it is."""
    spacing_mm = labels.grid.spacing_mm
    sigma = np.maximum(SMOOTHING_MM, 0.6 * spacing_mm) / spacing_mm
    margin = np.ceil(3 * sigma).astype(int).tolist()
    start = tuple(axis.start - m for axis, m in zip(box, margin, strict=True))
    mask = np.pad((labels.array[box] == label).astype(np.float32), [(m, m) for m in margin])
    smooth = Volume(ndimage.gaussian_filter(mask, sigma, truncate=3), labels.grid.crop(start, mask.shape))
    axes = view.world_from_index[:3, :3] / view.spacing_mm
    low, high = _extent(box, labels.grid, axes)
    origin = axes.T @ view.world_from_index[:3, 3]
    first = np.maximum(np.floor((low - origin) / view.spacing_mm).astype(int) - 3, 0)
    last = np.minimum(np.ceil((high - origin) / view.spacing_mm).astype(int) + 4, view.shape)
    field = resample(smooth, view.crop(tuple(first.tolist()), tuple((last - first).tolist()))).array
    depth, normal = first_hit(field)
    light = np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, None)
    place = (slice(first[1], last[1]), slice(first[2], last[2]))
    return depth + first[0], AMBIENT + (1 - AMBIENT) * light, place


def first_hit(
    field: Float32[np.ndarray, "depth rows columns"], level: float = 0.5
) -> tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns 3"]]:
    """Where rays along the first axis first rise above a level, and the outward unit normal there.

    Returns:
        Depth in voxels, interpolated, infinite where there is no hit; and the normal, 0 there.
    """
    inside = field > level
    hit = np.asarray(inside.any(axis=0))
    k = np.argmax(inside, axis=0)
    rows, columns = np.indices(k.shape)
    here, before = field[k, rows, columns], field[np.maximum(k - 1, 0), rows, columns]
    fraction = np.where(k > 0, (level - before) / np.maximum(here - before, 1e-6), 1.0)
    slopes = []
    for axis in range(3):
        places = [[k, rows, columns], [k, rows, columns]]
        for step, place in zip((-1, 1), places, strict=True):
            place[axis] = np.clip(place[axis] + step, 0, field.shape[axis] - 1)
        slopes.append(field[tuple(places[1])] - field[tuple(places[0])])
    normal = -np.stack(slopes, axis=-1).astype(float)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    return np.where(hit, k - 1 + fraction, np.inf), np.where(hit[..., None], normal, 0.0)


def _extent(
    box: tuple[slice, slice, slice], grid: VoxelGrid, axes: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, 3], Float[np.ndarray, 3]]:
    """Lowest and highest coordinate of a box of voxels along unit vectors (columns), in mm."""
    corners = np.array(list(product(*((axis.start - 0.5, axis.stop - 0.5) for axis in box))))
    along = apply_affine(grid.world_from_index, corners) @ axes
    return along.min(axis=0), along.max(axis=0)
