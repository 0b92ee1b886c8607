"""Stored CT values become Hounsfield units, slice by slice, each with its own rescale."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int16
from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput, Withheld
from osteoray.ingest.ct_slices import CtSlice
from osteoray.ingest.dicom import decode_pixels, open_dicom, optional_number
from osteoray.ingest.pixels import without_unused_bits

AIR_HU = -1024
"""Value of padding, and the lowest value kept."""
TISSUE_HU = (-200, 300)
"""Fat, muscle and cancellous bone."""


def hounsfield_volume(slices: list[CtSlice], workers: int) -> tuple[Int16[np.ndarray, "k j i"], int]:
    """Decode the slices in order.

    Args:
        slices: in the order of k.
        workers: threads; decoders of compressed images run beside each other.

    Returns:
        HU rounded to integers, within [-1024, 32767], and the number of padded pixels.

    Raises:
        UnreadableInput: an image cannot be decoded.
        Withheld: the values hold no air or no tissue, so they are not HU.
    """
    volume = np.empty((len(slices), *slices[0].shape), np.int16)
    padded = 0
    with ThreadPoolExecutor(workers) as pool:
        for multi in _files(slices):
            # A file with many frames is opened once; one image is opened by the thread that decodes it.
            dataset = open_pixels(slices[multi[0]]) if slices[multi[0]].frame is not None else None

            def decode(k: int, dataset: Dataset | None = dataset) -> int:
                volume[k], padded = slice_hu(slices[k], dataset)
                return padded

            padded += sum(pool.map(decode, multi))
    check_values(volume)
    return volume, padded


def _files(slices: list[CtSlice]) -> list[list[int]]:
    """Indices of slices: those of each multi-frame file, and all single images together."""
    files = defaultdict(list)
    for k, item in enumerate(slices):
        files[None if item.frame is None else item.path].append(k)
    return list(files.values())


def open_pixels(item: CtSlice) -> Dataset:
    """The file of a slice, with its pixel data."""
    return open_dicom(item.path, item.name, "ING-DICOM", pixels=True)


def slice_hu(item: CtSlice, dataset: Dataset | None = None) -> tuple[Int16[np.ndarray, "j i"], int]:
    """One image in HU, and how many of its pixels are padding.

    Args:
        item: header of the image.
        dataset: its file, if it is open already.

    Raises:
        UnreadableInput: the image cannot be decoded or has another shape than its header says.
    """
    dataset = dataset or open_pixels(item)
    raw = decode_pixels(dataset, item.name, "ING-DICOM", item.frame, keeps_unused_bits=True)
    stored = without_unused_bits(raw, int(dataset.BitsStored))
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
    if stored is not raw:
        # Padding may be a value that the stored bits cannot hold: 63536 in 12 bits.
        padding |= padding_mask(dataset, raw)
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


def check_values(volume: Int16[np.ndarray, "k j i"]) -> None:
    """Refuse values that cannot be HU: every CT of a pelvis has air around it and tissue within.

    Raises:
        Withheld: fewer than one voxel in a thousand lies below -850 HU, or fewer than one in a hundred near water.
    """
    sample = volume[::4, ::4, ::4]
    low, high = int(sample.min()), int(sample.max())
    if float((sample < -850).mean()) < 1e-3:
        raise Withheld("ING-RESCALE", f"values: expected air near -1000 HU, got a minimum of {low} HU")
    if float(((sample > TISSUE_HU[0]) & (sample < TISSUE_HU[1])).mean()) < 0.01:
        raise Withheld("ING-RESCALE", f"values: expected tissue near 0 HU, got {low} to {high} HU without it")
