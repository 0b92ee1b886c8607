"""What the network sees: axial slices of the central box of the body, at a fixed pixel size and HU window."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from scipy import ndimage
from torch import Tensor

from osteoray.geometry.affines import affine
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.volume import Box, Volume
from osteoray.imaging.volume_resizing import resize_volume
from osteoray.segmentation.bone_classes import CLASS_OF_BONE, BoneClass

CORTEX_HU = 350.0
"""Above the rods of a phantom, below dense bone."""

SKIN_MM = 15.0
"""Bone lies at least this deep under the skin; table and phantom do not."""

MARGIN_MM = 20.0
"""Room around the dense bone."""


def central_window(ct_hu: Volume) -> Box:
    """Indices of the in-plane box of the body that holds all dense bone and a margin; every slice is kept.

    The phantom, the table and the arms beside the body would otherwise cost half of the network's time.
    """
    k, j, i = (slice(0, size) for size in ct_hu.array.shape)
    stride = tuple(max(int(4.0 / spacing), 1) for spacing in ct_hu.grid.spacing_mm)
    coarse = ct_hu.array[tuple(slice(None, None, step) for step in stride)]
    spacing_mm = ct_hu.grid.spacing_mm * stride
    parts, count = ndimage.label(ndimage.binary_opening(coarse > -300.0))
    if count == 0:
        return k, j, i
    body = ndimage.binary_fill_holes(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))
    layers = np.pad(body, ((0, 0), (1, 1), (1, 1)))
    depth_mm = np.stack([ndimage.distance_transform_edt(layer, spacing_mm[1:]) for layer in layers])[:, 1:-1, 1:-1]
    dense = (coarse > CORTEX_HU) & (depth_mm > SKIN_MM)
    if not dense.any():
        return k, j, i
    inside = []
    for axis in (1, 2):
        where = np.nonzero(dense)[axis] * stride[axis]
        margin = int(MARGIN_MM / ct_hu.grid.spacing_mm[axis])
        low, high = np.percentile(where, (0.1, 99.9))
        inside.append(slice(max(int(low) - margin, 0), min(int(high) + margin + 1, ct_hu.array.shape[axis])))
    return k, inside[0], inside[1]


def network_input(box_hu: Volume, pixel_mm: float, slice_mm: float, window_hu: tuple[float, float]) -> Volume:
    """A box of the CT at a working resolution, window mapped to 0..1; its outer edges stay where they are.

    Args:
        box_hu: the CT cut to its `central_window`.
        pixel_mm: pixel size, met up to rounding.
        slice_mm: smallest slice distance; thicker slices stay as they are.
        window_hu: HU that become 0 and 1; values beyond are clipped.
    """
    low, high = window_hu
    scaled = np.clip((box_hu.array.astype(np.float32) - low) / (high - low), 0.0, 1.0)
    grid = working_grid(box_hu.grid, pixel_mm, slice_mm)
    return Volume(resize_volume(scaled, grid.shape), grid)


def network_target(bones: Volume, grid: VoxelGrid) -> UInt8[np.ndarray, "classes k j i"]:
    """Share of every voxel that each bone class fills, in 255ths.

    Args:
        bones: labels of `Bone` on the grid of the box.
        grid: working grid of the same box.
    """
    shares = []
    for bone_class in (c for c in BoneClass if c is not BoneClass.BACKGROUND):
        members = [bone for bone, its_class in CLASS_OF_BONE.items() if its_class is bone_class]
        mask = np.isin(bones.array, members).astype(np.float32)
        shares.append(np.rint(255 * resize_volume(mask, grid.shape)).astype(np.uint8))
    return np.stack(shares)


def working_grid(box: VoxelGrid, pixel_mm: float, slice_mm: float) -> VoxelGrid:
    """Grid of the same extent with voxels of about the given size; slices are not made thinner than they are."""
    wanted_mm = np.array([max(float(box.spacing_mm[0]), slice_mm), pixel_mm, pixel_mm])
    shape = np.maximum(np.rint(box.shape * box.spacing_mm / wanted_mm), 1).astype(int)
    return resized_grid(box, tuple(int(n) for n in shape))


def resized_grid(grid: VoxelGrid, shape: tuple[int, ...]) -> VoxelGrid:
    """Grid of the same extent with another number of voxels."""
    factor = np.array(grid.shape) / shape
    # Outer edges coincide: the first centre moves by half the difference of the voxel sizes.
    scale = affine(np.diag(factor), (factor - 1) / 2)
    return VoxelGrid(shape, grid.world_from_index @ scale)


def with_neighbours(images: Float32[Tensor, "k rows columns"]) -> Float32[Tensor, "k 3 rows columns"]:
    """Every slice with the one below and the one above; the first and last stand in for those beyond."""
    padded = torch.cat([images[:1], images, images[-1:]])
    return torch.stack([padded[:-2], padded[1:-1], padded[2:]], dim=1)
