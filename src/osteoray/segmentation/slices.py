"""What the network sees: axial slices of the central box of the body, at a fixed pixel size and HU window."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

from osteoray.imaging.resampling import resample, spaced
from osteoray.imaging.volume import Volume
from osteoray.segmentation.sides import CLASS_OF_BONE, BoneClass

CORTEX_HU = 350.0
"""Above the rods of a phantom, below dense bone."""

SKIN_MM = 15.0
"""Bone lies at least this deep under the skin; table and phantom do not."""

MARGIN_MM = 20.0
"""Room around the dense bone."""


def central_box(ct_hu: Volume) -> Volume:
    """The in-plane box of the body that holds all dense bone and a margin; every slice is kept.

    The phantom, the table and the arms beside the body would otherwise cost half of the network's time.
    """
    stride = tuple(max(int(4.0 / spacing), 1) for spacing in ct_hu.grid.spacing_mm)
    coarse = ct_hu.array[tuple(slice(None, None, step) for step in stride)]
    spacing_mm = ct_hu.grid.spacing_mm * stride
    parts, count = ndimage.label(ndimage.binary_opening(coarse > -300.0))
    if count == 0:
        return ct_hu
    body = ndimage.binary_fill_holes(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))
    layers = np.pad(body, ((0, 0), (1, 1), (1, 1)))
    depth_mm = np.stack([ndimage.distance_transform_edt(layer, spacing_mm[1:]) for layer in layers])[:, 1:-1, 1:-1]
    dense = (coarse > CORTEX_HU) & (depth_mm > SKIN_MM)
    if not dense.any():
        return ct_hu
    box = [slice(0, ct_hu.array.shape[0])]
    for axis in (1, 2):
        where = np.nonzero(dense)[axis] * stride[axis]
        margin = int(MARGIN_MM / ct_hu.grid.spacing_mm[axis])
        low, high = np.percentile(where, (0.1, 99.9))
        box.append(slice(max(int(low) - margin, 0), min(int(high) + margin + 1, ct_hu.array.shape[axis])))
    array = np.ascontiguousarray(ct_hu.array[tuple(box)])
    return Volume(array, ct_hu.grid.crop(tuple(axis.start for axis in box), array.shape))


def network_input(box_hu: Volume, inplane_mm: float, slice_mm: float, window_hu: tuple[float, float]) -> Volume:
    """A box of the CT at the working resolution, window mapped to 0..1.

    Args:
        box_hu: `central_box` of the CT.
        inplane_mm: pixel size.
        slice_mm: smallest slice distance; thicker slices stay as they are.
        window_hu: HU that become 0 and 1; values beyond are clipped.
    """
    low, high = window_hu
    scaled = np.clip((box_hu.array.astype(np.float32) - low) / (high - low), 0.0, 1.0)
    thickness_mm = max(float(box_hu.grid.spacing_mm[0]), slice_mm)
    return spaced(Volume(scaled, box_hu.grid), (thickness_mm, inplane_mm, inplane_mm))


def network_target(bones: Volume, slices: Volume) -> UInt8[np.ndarray, "k j i"]:
    """Classes of labelled bones on the grid of the network's slices.

    Args:
        bones: labels of `Bone` on the CT grid.
        slices: the network's input.
    """
    target = np.zeros(slices.grid.shape, np.uint8)
    highest = np.full(slices.grid.shape, 0.5, np.float32)
    for bone_class in (c for c in BoneClass if c is not BoneClass.BACKGROUND):
        members = [bone for bone, its_class in CLASS_OF_BONE.items() if its_class is bone_class]
        mask = np.isin(bones.array, members).astype(np.float32)
        # Interpolated and thresholded: nearest neighbours would move the boundary by up to half a voxel.
        share = resample(Volume(mask, bones.grid), slices.grid).array
        target[share >= highest] = bone_class
        np.maximum(highest, share, out=highest)
    return target
