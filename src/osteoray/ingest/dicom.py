"""One foreign DICOM file, opened: whatever is wrong with it is told in one line with its name."""

from __future__ import annotations

import hashlib
import math
import re
import warnings
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from osteoray.errors.unreadable import UnreadableInput
from osteoray.ingest.pixels import check_bits, decoded

# Foreign files break value rules that do not concern us; those that do are checked where the value is used.
config.settings.reading_validation_mode = config.IGNORE
# What pydicom finds odd is not told line by line: it names values, and what matters is refused.
warnings.filterwarnings("ignore", module=r"pydicom\.")

MAX_INFLATED_BYTES = 2**29
"""Largest data set accepted after inflating; a small file can hold a thousand times its size."""
_PLAIN_TEXT = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"}
"""Types of short texts, several separated by backslashes."""
DICOM_SUFFIXES = (".dcm", ".ima")
"""Names of files that claim to be DICOM, in lower case."""
_PREFIX = r"(?:CT|CR|DX|XR|MR|DICOM|DICOMDIR|IM|IMG|IMAGE|FILE|SLICE|SE|SER|SERIES|ST|STUDY|X|Z)"
_SUFFIX = r"(?:\.(?:dcm|ima|img))?"
_PLAIN_NAME = re.compile(rf"(?:{_PREFIX}[-_ ]?\d{{0,5}}|\d{{1,4}}|V\d{{3}}){_SUFFIX}", re.IGNORECASE | re.ASCII)
"""What devices, and this project, call files and folders: a word of imaging with a counter, or a short counter. Longer
numbers may be record numbers or dates, other words may be names."""
_UID_NAME = re.compile(rf"({_PREFIX}?[-_. ]?)(\d+(?:\.\d+){{4,}})({_SUFFIX})", re.IGNORECASE | re.ASCII)
"""A UID, at most after such a word."""


def spoken_name(path: Path, folder: Path) -> str:
    """Name of a file below its folder for messages, without what could identify a person.

    Names that devices give stay: a word such as IM or CT with a counter of at most five digits, or a counter of at most
    four. A name that is a UID keeps the UID's last eight characters. Any other part, also one that only contains a UID,
    becomes eight characters of its SHA-256, by which the file can be found again.
    """
    parts = path.relative_to(folder).parts if path.is_relative_to(folder) else (path.name,)
    return "/".join(_spoken(part) for part in parts)


def _spoken(part: str) -> str:
    if _PLAIN_NAME.fullmatch(part):
        return part
    if found := _UID_NAME.fullmatch(part):
        return f"{found[1]}…{found[2][-8:]}{found[3]}"
    return "~" + hashlib.sha256(part.encode("utf-8", "replace")).hexdigest()[:8]


def has_preamble(path: Path) -> bool:
    """Whether a file begins like a DICOM file: 128 bytes, then DICM."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def open_dicom(path: Path, name: str, code: str, *, pixels: bool = False) -> Dataset:
    """Read a file's elements.

    Args:
        path: the file.
        name: how messages call it.
        code: reason code of a failure.
        pixels: also read the pixel data.

    Raises:
        UnreadableInput: the bytes are not DICOM.
    """
    try:
        with open(path, "rb") as file:
            if DeflatedExplicitVRLittleEndian.encode() in file.read(1024):
                check_inflated_size(path)
            file.seek(0)
            # Every element is kept as bytes until asked for: faster than a list of elements to keep.
            dataset = dcmread(file, stop_before_pixels=not pixels)
            if pixels:
                check_bits(dataset)
            return dataset
    except Exception as error:  # Broken bytes raise anything, from struct.error to RecursionError.
        raise UnreadableInput(name, "file", "readable DICOM", one_line(error), code) from error


def check_inflated_size(path: Path) -> None:
    """Refuse a deflated file that holds more than memory should.

    Raises:
        ValueError: larger than `MAX_INFLATED_BYTES`, or without the length of its file header.
    """
    content = path.read_bytes()
    if content[132:140] != b"\2\0\0\0UL\4\0":
        raise ValueError("deflated, without the length of the file header")
    inflator, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    rest = content[144 + int.from_bytes(content[140:144], "little") :]
    while rest and not inflator.eof and size <= MAX_INFLATED_BYTES:
        size += len(inflator.decompress(rest, 2**20))
        rest = inflator.unconsumed_tail
    if size > MAX_INFLATED_BYTES:
        raise ValueError(f"deflated, more than {MAX_INFLATED_BYTES} bytes")


def decode_pixels(
    dataset: Dataset, name: str, code: str, frame: int | None = None, *, keeps_unused_bits: bool = False
) -> np.ndarray:
    """The stored values of an image.

    Args:
        dataset: with its pixel data.
        name: how messages call it.
        code: reason code of a failure.
        frame: index of the image among several; None where there must be one only.
        keeps_unused_bits: see `decoded`.

    Raises:
        UnreadableInput: pixel data are absent, of another size than declared, or in a compression without decoder.
    """
    try:
        return decoded(dataset, frame, keeps_unused_bits=keeps_unused_bits)
    except BaseException as error:  # Decoders raise whatever they like on broken streams, those in Rust a panic.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UnreadableInput(name, "PixelData (7FE0,0010)", "a decodable image", one_line(error), code) from error


def text(dataset: Dataset, keyword: str) -> str:
    """An element as stripped text; the first of several values; absent or unreadable is empty."""
    value = texts(dataset, keyword)
    return value[0] if value else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an element as stripped printable text, at most 64 characters each as in DICOM's short types."""
    try:
        raw = dataset.get_item(tag_of(keyword))
        # The short way gives what pydicom gives, ten times faster.
        is_bytes = isinstance(raw, RawDataElement) and type(raw.value) is bytes and raw.value.isascii()
        if is_bytes and (raw.VR or dictionary_VR(raw.tag)) in _PLAIN_TEXT:
            content = raw.value.decode("ascii").rstrip("\0 ")
            return tuple(map(_short, content.split("\\"))) if content else ()
        value = dataset.get(keyword)
        if value is None or value == "":
            return ()
        values = [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else value
        return tuple(_short(str(item)) for item in values)
    except Exception:  # An element whose bytes contradict its type holds no text.
        return ()


def _short(value: str) -> str:
    return _printable(value[:256]).strip()[:64]


@cache
def tag_of(keyword: str) -> BaseTag:
    """Tag of an element's keyword."""
    return Tag(tag_for_keyword(keyword) or 0)


def numbers(dataset: Dataset, keyword: str, count: int, name: str, code: str) -> tuple[float, ...] | None:
    """An element as finite numbers; None if absent.

    Raises:
        UnreadableInput: present, but not `count` finite numbers.
    """
    raw = texts(dataset, keyword)
    if not raw:
        return None
    try:
        values = tuple(float(item) for item in raw)
    except ValueError:
        values = ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise UnreadableInput(name, named(keyword), f"{count} finite number(s)", list(raw)[:4], code)
    return values


def number(dataset: Dataset, keyword: str, name: str, code: str) -> float | None:
    """An element as one finite number; None if absent."""
    values = numbers(dataset, keyword, 1, name, code)
    return None if values is None else values[0]


def optional_number(dataset: Dataset, keyword: str) -> float | None:
    """An element as one finite number; None if absent or malformed: for facts that nothing depends on."""
    try:
        value = float(text(dataset, keyword))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def named(keyword: str) -> str:
    """An element's keyword with its tag."""
    tag = tag_of(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


def label(value: str) -> str | None:
    """A short technical text (kernel, manufacturer, model) with harmless characters only; None if empty."""
    return re.sub(r"[^A-Za-z0-9 ._+/-]", "", value)[:48].strip() or None


def one_line(error: BaseException) -> str:
    """An exception in one short line."""
    return _printable(" ".join(f"{type(error).__name__}: {error}".split()))[:200]


def _printable(value: str) -> str:
    return value if value.isprintable() else "".join(character for character in value if character.isprintable())
