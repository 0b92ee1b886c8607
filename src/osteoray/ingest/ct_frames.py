"""Frames of an enhanced (multi-frame) CT, each as the header of a single image (DICOM PS3.3 A.38, A.70, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from osteoray.errors.unreadable import UnreadableInput

PIXELS = 0x7FE00010


def frame_headers(dataset: Dataset, name: str) -> list[Dataset]:
    """One flat data set per frame: the file's elements, then the shared groups, then the frame's own.

    The functional groups of position, orientation, pixel measures, rescale, frame type and reconstruction hold the
    very elements of a single CT image, so the frames are read by the same rules. The parts of a concatenation need no
    care: they are files of one series, and slices are sorted by position.

    Args:
        dataset: an Enhanced CT or Legacy Converted Enhanced CT image.
        name: how messages call the file.

    Raises:
        UnreadableInput: the groups cannot be read, or are not one for every frame.
    """
    try:
        frames = list(dataset.PerFrameFunctionalGroupsSequence)
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or ())
        count = int(dataset.NumberOfFrames)
        base = _without_sequences(dataset)
        base.update(_elements(shared[0]) if shared else {})
        headers = [_merged(base, _elements(frame)) for frame in frames[:count]]
    except Exception as error:  # Broken sequences raise anything.
        reason = type(error).__name__
        raise UnreadableInput(
            name, "functional groups (5200,9230)", "one for every frame", reason, "ING-DICOM"
        ) from error
    if len(frames) != count:
        raise UnreadableInput(name, "NumberOfFrames (0028,0008)", f"{len(frames)} as described", count, "ING-DICOM")
    return headers


def frame_header(dataset: Dataset, name: str, frame: int | None) -> Dataset:
    """The header of one image of a file.

    Args:
        dataset: of the file.
        name: how messages call it.
        frame: index; None where the file is one image.

    Raises:
        UnreadableInput: the functional groups are broken.
    """
    return dataset if frame is None else frame_headers(dataset, name)[frame]


def _without_sequences(dataset: Dataset) -> Dataset:
    plain = Dataset()
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if element.VR != "SQ" and tag < PIXELS and tag.group != 0x5200:
            plain[tag] = element
    return plain


def _elements(groups: Dataset) -> Dataset:
    """The elements of the first item of every functional group."""
    flat = Dataset()
    for element in _sequences(groups):
        if element.value:
            flat.update(element.value[0])
    return flat


def _sequences(groups: Dataset) -> Iterator:
    return (element for element in groups if element.VR == "SQ")


def _merged(base: Dataset, own: Dataset) -> Dataset:
    merged = Dataset()
    merged.update(base)
    merged.update(own)
    return merged
