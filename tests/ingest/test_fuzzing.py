"""Two thousand spoiled DICOM files: each is read or refused in one line, within its time and memory.

OSTEORAY_FUZZ_CASES asks for more; OSTEORAY_FUZZ_SEED for others.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import openjpeg
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from tests.ingest.multiframe import enhanced

from osteoray.config.ingest import IngestConfig
from osteoray.errors.unreadable import Withheld
from osteoray.ingest.ct_pixels import slice_hu
from osteoray.ingest.ct_slices import read_slices
from osteoray.ingest.dicom import tag_of
from osteoray.ingest.tree import read_file
from osteoray.ingest.xray import read_xray

CASES = int(os.environ.get("OSTEORAY_FUZZ_CASES", "2000"))
SEED = int(os.environ.get("OSTEORAY_FUZZ_SEED", "7"))
PER_TEST = 250
SECONDS = 5
MAX_MIB = 2048
LONGEST = 700
"""Characters of a refusal."""
SHORTEST = 200
"""Bytes below which there is nothing left to damage."""
XRAY = ("log_offset", "log_units_per_neper", "display_nepers", "default_sid_mm")

Damage = Callable[[bytearray, np.random.Generator], None]


def flip_bits(content: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(content), rng.integers(1, 40)):
        content[place] ^= 1 << int(rng.integers(8))


def overwrite_header(content: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(132, min(len(content), 1600), rng.integers(1, 8)):
        content[place] = int(rng.integers(256))


def truncate(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(rng.integers(len(content))) :]


def cut_out(content: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(content)))
    del content[start : start + int(rng.integers(1, 64))]


def insert(content: bytearray, rng: np.random.Generator) -> None:
    place = int(rng.integers(132, len(content)))
    content[place:place] = rng.bytes(int(rng.integers(1, 64)))


def huge_length(content: bytearray, rng: np.random.Generator) -> None:
    """A length field, or what looks like one, becomes huge or undefined."""
    place = int(rng.integers(132, min(len(content), 1600) - 4))
    content[place : place + 4] = struct.pack("<L", int(rng.choice([0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 2**31, 2**24])))


def random_type(content: bytearray, rng: np.random.Generator) -> None:
    """The type (VR) of an element becomes another, or none."""
    kinds = [b"SQ", b"UN", b"OB", b"OW", b"FD", b"US", b"DS", b"IS", b"UT", b"AT", b"ZZ", b"\0\0", b"??", b"UV"]
    places = [
        k for k in range(132, min(len(content), 1600)) if content[k : k + 2] in (b"DS", b"US", b"CS", b"UI", b"IS")
    ]
    if places:
        place = int(rng.choice(places))
        content[place : place + 2] = kinds[int(rng.integers(len(kinds)))]


def nest(content: bytearray, rng: np.random.Generator) -> None:
    """Sequences of undefined length, one in the other, none of them ended."""
    item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    place = content.find(b"\x08\x00\x16\x00UI")
    place = place if place > 0 else int(rng.integers(132, len(content)))
    content[place:place] = item * int(rng.choice([5, 100, 3000]))


ABSURD: dict[str, tuple[str, list]] = {
    "Rows": ("US", [0, 1, 65535, 47, 49]),
    "Columns": ("US", [0, 1, 65535, 63]),
    "NumberOfFrames": ("IS", ["0", "-1", "1000000000", "2", "x"]),
    "BitsAllocated": ("US", [0, 1, 8, 12, 32, 64, 65535]),
    "BitsStored": ("US", [0, 1, 17, 65535]),
    "SamplesPerPixel": ("US", [0, 3, 65535]),
    "PixelRepresentation": ("US", [1, 2, 65535]),
    "PhotometricInterpretation": ("CS", ["RGB", "YBR_FULL_422", "PALETTE COLOR", "", "X"]),
    "RescaleSlope": ("DS", ["1e308", "nan", "-1", "1e-300", "", "1\\2", "inf", "\xe9"]),
    "RescaleIntercept": ("DS", ["1e308", "-1e308", "nan", "x"]),
    "PixelSpacing": ("DS", ["0\\0", "-1\\1", "1e300\\1e300", "1e-300\\1", "1", "a\\b"]),
    "ImagePositionPatient": ("DS", ["1e308\\1e308\\1e308", "1\\2", "nan\\0\\0"]),
    "ImageOrientationPatient": ("DS", ["0\\0\\0\\0\\0\\0", "1\\0\\0\\1\\0\\0", "1e200\\0\\0\\0\\1e200\\0"]),
    "ImagerPixelSpacing": ("DS", ["0\\0", "1e300\\1", "nan\\nan"]),
    "DistanceSourceToDetector": ("DS", ["1e300", "-1", "nan", "x" * 3000]),
    "PixelPaddingValue": ("US", [0, 65535, 24]),
    "SliceThickness": ("DS", ["1e308", "-3", "nan"]),
    "SeriesInstanceUID": ("UI", ["", "x" * 5000]),
    "SpecificCharacterSet": ("CS", ["ISO 2022 IR 87", "nonsense", "UTF\\8"]),
    "SmallestImagePixelValue": ("SS", [-1]),
    "LossyImageCompression": ("CS", ["\x00", "01"]),
}


def absurd(content: bytearray, rng: np.random.Generator) -> None:
    """One to three elements get values that no scanner writes."""
    for keyword in rng.choice(list(ABSURD), rng.integers(1, 4), replace=False):
        kind, values = ABSURD[str(keyword)]
        value = values[int(rng.integers(len(values)))]
        written = struct.pack("<H", value & 0xFFFF) if isinstance(value, int) else value.encode("latin-1")
        tag = tag_of(str(keyword))
        start = content.find(struct.pack("<HH", tag.group, tag.element) + kind.encode())
        if start > 0:
            (length,) = struct.unpack_from("<H", content, start + 6)
            written += b" " * (len(written) % 2)
            content[start + 6 : start + 8 + length] = struct.pack("<H", len(written)) + written


DAMAGES: list[Damage] = [
    flip_bits, overwrite_header, truncate, cut_out, insert, huge_length, random_type, nest, absurd, absurd, absurd,
]  # fmt: skip


@pytest.fixture(scope="module")
def originals(clean_series: Callable, clean_xray: Callable) -> list[bytes]:
    """CT and X-rays in every way of writing that can be read."""
    images = [clean_series()[7] for _ in range(6)]
    images[1].file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    images[2].file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    images[3].compress(RLELossless, encoding_plugin="pylibjpeg")
    images[4].compress(JPEGLSLossless)
    images[5].PixelData = encapsulate([openjpeg.encode(images[5].pixel_array, codec_format=0)])
    images[5]["PixelData"].is_undefined_length = True
    images[5].file_meta.TransferSyntaxUID = JPEG2000Lossless
    frames, packed = enhanced(clean_series()[:4]), enhanced(clean_series()[:4])
    packed.compress(RLELossless, encoding_plugin="pylibjpeg")
    squeezed = clean_xray()
    squeezed.compress(JPEGLSLossless)
    return [as_bytes(dataset) for dataset in (*images, frames, packed, clean_xray(), clean_xray(), squeezed)]


def as_bytes(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


class TookTooLong(BaseException):
    """Not an Exception: nothing on the way may catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def told(read: Callable[[], object]) -> str:
    """What a reader says of a file; nothing if it reads it. Anything but a refusal is a failure of the test."""
    try:
        read()
    except Withheld as refusal:
        return str(refusal)
    return ""


def read_every_image(folder: Path) -> None:
    for item in read_slices(folder)[0]:
        slice_hu(item)


def outcomes(path: Path) -> list[str]:
    config = IngestConfig()
    settings = {name: getattr(config, name) for name in XRAY}
    return [
        told(lambda: read_every_image(path.parent)),
        told(lambda: read_xray(path, "X1", accepts_display=True, **settings)),
        read_file(path, path.name).problem,
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(-(-CASES // PER_TEST)))
def test_spoiled_files_are_read_or_refused_in_one_line(tmp_path: Path, originals: list[bytes], part: int) -> None:
    path = tmp_path / "IM0001.dcm"
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(part * PER_TEST, min((part + 1) * PER_TEST, CASES)):
        rng = np.random.default_rng([SEED, number])
        content = bytearray(originals[number % len(originals)])
        for damage in rng.choice(len(DAMAGES), rng.integers(1, 3)):
            if len(content) > SHORTEST:
                DAMAGES[damage](content, rng)
        path.write_bytes(content)
        try:
            with time_limit(SECONDS):
                lines = outcomes(path)
        except BaseException as error:
            raise AssertionError(f"case {number} of seed {SEED}: {type(error).__name__}: {error}") from error
        assert all("\n" not in line and len(line) < LONGEST for line in lines), f"case {number}: {lines}"
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert grown_mib < MAX_MIB


def test_whole_files_are_read(tmp_path: Path, originals: list[bytes]) -> None:
    path = tmp_path / "IM0001.dcm"
    for content in originals:
        path.write_bytes(content)
        ct, xray, index = outcomes(path)
        assert index == "" and (ct == "" or xray == "")


@pytest.mark.filterwarnings("ignore")
def test_small_files_that_unpack_to_much_are_refused_unread(tmp_path: Path, originals: list[bytes]) -> None:
    """A deflated file of 10 GiB of zeros, and compressed images whose streams declare 60000 by 60000 pixels."""
    inflated = originals[2]
    head = inflated[: 144 + int.from_bytes(inflated[140:144], "little")]
    deflator = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**24)
    bomb = head + b"".join(deflator.compress(zeros) for _ in range(40)) + deflator.flush()
    lossless, j2k = bytearray(originals[4]), bytearray(originals[5])
    struct.pack_into(">HH", lossless, lossless.index(b"\xff\xf7") + 5, 60000, 60000)
    struct.pack_into(">LL", j2k, j2k.index(b"\xff\x4f\xff\x51") + 8, 60000, 60000)
    for content, reason in ((bomb, "deflated, more than"), (lossless, "60000, 60000"), (j2k, "60000, 60000")):
        path = tmp_path / "IM0001.dcm"
        path.write_bytes(content)
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert reason in outcomes(path)[0]
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 256 * 1024
