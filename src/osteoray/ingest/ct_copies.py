"""Exact copies of CT images in a folder: the one fault of a series that is mended, because nothing is guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from osteoray.ingest.ct_pixels import open_pixels, slice_hu
from osteoray.ingest.ct_series import Series
from osteoray.ingest.ct_slices import CtSlice


def without_copies(series: Series) -> tuple[Series, int]:
    """The series without images that repeat another one exactly, and how many were left out.

    A copy has the same position, orientation and thickness to the last digit and the same HU in every pixel. Images
    that share a position but differ stay, and are refused by the gate on positions.

    Raises:
        UnreadableInput: an image that shares its position cannot be decoded.
    """
    kept: dict[tuple, list[CtSlice]] = {}
    for item in series.slices:
        key = (*item.position_mm, *item.orientation.ravel(), item.thickness_mm)
        kept.setdefault(key, []).append(item)
    for key, members in kept.items():
        if len(members) > 1:
            kept[key] = _distinct(members)
    slices = tuple(item for members in kept.values() for item in members)
    return replace(series, slices=slices), len(series.slices) - len(slices)


def _distinct(members: list[CtSlice]) -> list[CtSlice]:
    first = _hu(members[0])
    return members[:1] + [item for item in members[1:] if not np.array_equal(_hu(item), first)]


def _hu(item: CtSlice) -> np.ndarray:
    return slice_hu(item, open_pixels(item))[0]
