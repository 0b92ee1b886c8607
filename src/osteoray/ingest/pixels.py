"""Pixel data are measured against what the header declares before a decoder sees them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

MAX_PIXELS = 2**26
"""Largest image: 8192 by 8192. CT images have 2**20 pixels at most, radiographs 2**24."""
DECODERS = dict.fromkeys(JPEGTransferSyntaxes, "gdcm") | dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls")
DECODERS |= dict.fromkeys((*JPEG2000TransferSyntaxes, RLELossless), "pylibjpeg")
"""One decoder for each compression: GDCM ends the process on broken JPEG 2000, so only JPEG is left to it."""
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers that begin a JPEG or (0xF7) JPEG-LS frame."""
_J2K_SIZE = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 code stream, followed by its size."""


def decoded(dataset: Dataset, frame: int | None, *, keeps_unused_bits: bool) -> np.ndarray:
    """The stored values of one image.

    Args:
        dataset: with its pixel data.
        frame: index of the image among several; None where there must be one only.
        keeps_unused_bits: whether bits above Bits Stored stay as they are, or follow the highest stored bit.

    Raises:
        ValueError: the pixel data are not what the header declares. Decoders raise more.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frame is None and frames != 1:
        raise ValueError(f"NumberOfFrames: expected 1, got {frames}")
    check_size(dataset, frames, is_compressed=syntax.is_encapsulated)
    index = frame or 0
    if syntax.is_encapsulated:
        stream = get_frame(dataset.PixelData, index, number_of_frames=frames)
        check_stream(stream, dataset, syntax)
    options: Any = {"correct_unused_bits": not keeps_unused_bits, "decoding_plugin": DECODERS.get(syntax, "")}
    return get_decoder(syntax).as_array(dataset, index=index, **options)[0]


def without_unused_bits(raw: np.ndarray, bits_stored: int) -> np.ndarray:
    """Values whose bits above those stored follow the sign: overlays and padding may be hidden there."""
    shift = raw.dtype.itemsize * 8 - bits_stored
    return np.right_shift(np.left_shift(raw, shift), shift) if 0 < shift < raw.dtype.itemsize * 8 else raw


def check_bits(dataset: Dataset) -> None:
    """Refuse bits of a pixel that no image has; an object without pixels passes.

    Raises:
        ValueError: with the bits.
    """
    if "BitsAllocated" not in dataset:
        return
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated:
        raise ValueError(f"BitsStored, BitsAllocated: expected up to 8, 16 or 32, got {stored}, {allocated}")


def check_size(dataset: Dataset, frames: int, *, is_compressed: bool) -> None:
    """Refuse images larger than any, and pixel data of another length than declared.

    Raises:
        ValueError: with both numbers.
    """
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)
    if min(rows, columns, samples, frames) < 1 or rows * columns * samples > MAX_PIXELS:
        raise ValueError(f"{frames} image(s) of {rows} x {columns} x {samples} pixels")
    row_bytes = columns * samples * int(dataset.BitsAllocated) // 8
    expected, got = frames * rows * row_bytes, len(dataset.PixelData)
    if is_compressed:
        # An item of eight bytes for every image, and one for their table.
        if got < 8 * frames + 8:
            raise ValueError(f"{got} bytes for {frames} compressed image(s)")
    elif not expected <= got < expected + max(row_bytes, 2):
        # Excess of a row or more is not padding: the header declares another matrix than was written.
        raise ValueError(f"expected {expected} bytes for {frames} image(s) of {rows} x {columns}, got {got}")


def check_stream(stream: bytes, dataset: Dataset, syntax: UID) -> None:
    """Refuse a compressed image that declares another size than the header: decoders allocate what it declares.

    Raises:
        ValueError: with both sizes.
    """
    expected = (int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    if syntax == RLELossless:
        (segments,) = struct.unpack_from("<L", stream)
        if segments != expected[2] * int(dataset.BitsAllocated) // 8:
            raise ValueError(f"{segments} RLE segments")
    elif (got := j2k_size(stream) if _J2K_SIZE in stream[:512] else jpeg_size(stream)) != expected:
        raise ValueError(f"compressed image of {got}, header {expected}")


def jpeg_size(stream: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of a JPEG or JPEG-LS stream (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2)."""
    position = 2
    while position + 10 <= len(stream) and stream[position] == 0xFF:
        marker, length = stream[position + 1], int.from_bytes(stream[position + 2 : position + 4], "big")
        if marker in _JPEG_FRAMES:
            rows, columns, components = struct.unpack_from(">HHB", stream, position + 5)
            return rows, columns, components
        # Filling bytes may precede a marker.
        position += 1 if marker == 0xFF else 2 + length
    return None


def j2k_size(stream: bytes) -> tuple[int, int, int]:
    """Rows, columns and components of a JPEG 2000 stream (ISO/IEC 15444-1 A.5.1)."""
    start = stream.index(_J2K_SIZE) + 8
    right, bottom, left, top = struct.unpack_from(">4L", stream, start)
    (components,) = struct.unpack_from(">H", stream, start + 32)
    return bottom - top, right - left, components
