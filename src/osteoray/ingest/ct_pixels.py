"""Stored CT values become Hounsfield units, slice by slice, each with its own rescale."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int16
from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput, Withheld
from osteoray.ingest.ct_slices import CtSlice
from osteoray.ingest.dicom import decode_pixels, open_dicom, optional_number

AIR_HU = -1024
"""Value of padding, and the lowest value kept."""


def hounsfield_volume(slices: list[CtSlice], workers: int) -> tuple[Int16[np.ndarray, "k j i"], int]:
    """Decode the slices in order.

    Args:
        slices: in the order of k.
        workers: threads; decoders of compressed images run beside each other.

    Returns:
        HU rounded to integers, within [-1024, 32767], and the number of padded pixels.

    Raises:
        UnreadableInput: an image cannot be decoded.
        Withheld: the values hold no air, so they are not HU.
    """
    volume = np.empty((len(slices), *slices[0].shape), np.int16)

    def decode(k: int) -> int:
        volume[k], padded = slice_hu(slices[k])
        return padded

    with ThreadPoolExecutor(workers) as pool:
        padded = sum(pool.map(decode, range(len(slices))))
    check_air(volume)
    return volume, padded


def slice_hu(item: CtSlice) -> tuple[Int16[np.ndarray, "j i"], int]:
    """One image in HU, and how many of its pixels are padding.

    Raises:
        UnreadableInput: the image cannot be decoded or has another shape than its header says.
    """
    dataset = open_dicom(item.path, item.name, "ING-DICOM", pixels=True)
    stored = decode_pixels(dataset, item.name, "ING-DICOM")
    if stored.shape != item.shape:
        raise UnreadableInput(
            item.name, "PixelData (7FE0,0010)", f"one image of {item.shape}", stored.shape, "ING-DICOM"
        )
    slope, intercept = float(item.slope or 1.0), float(item.intercept or 0.0)
    whole = slope == 1.0 and intercept.is_integer()
    # int32 keeps whole numbers exact and is twice as fast as float64.
    values = stored.astype(np.int32) + int(intercept) if whole else np.rint(stored * slope + intercept)
    hu = np.clip(values, AIR_HU, 32767).astype(np.int16)
    padding = padding_mask(dataset, stored)
    if padding is None:
        return hu, 0
    hu[padding] = AIR_HU
    return hu, int(padding.sum())


def padding_mask(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Pixels outside the reconstruction, by Pixel Padding Value and its range limit; None if the image has none."""
    value = optional_number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = optional_number(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((_as_stored(value, stored), _as_stored(value if limit is None else limit, stored)))
    return (stored >= low) & (stored <= high)


def _as_stored(value: float, stored: np.ndarray) -> int:
    # Some scanners write the padding of signed images as unsigned: 63536 for -2000.
    if np.issubdtype(stored.dtype, np.signedinteger) and value >= 32768:
        value -= 65536
    return int(value)


def check_air(volume: Int16[np.ndarray, "k j i"]) -> None:
    """Refuse values without air: every CT of a pelvis has air around it, near -1000 HU.

    Raises:
        Withheld: fewer than one voxel in a thousand lies below -850 HU.
    """
    sample = volume[::4, ::4, ::4]
    share = float((sample < -850).mean())
    if share < 1e-3:
        raise Withheld("ING-RESCALE", f"values: expected air near -1000 HU, got a minimum of {int(sample.min())} HU")
