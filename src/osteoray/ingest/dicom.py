"""One foreign DICOM file, opened: whatever is wrong with it is told in one line with its name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset, config, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.tag import Tag

from osteoray.errors.unreadable import UnreadableInput

# Foreign files break value rules that do not concern us; those that do are checked where the value is used.
config.settings.reading_validation_mode = config.IGNORE

_UID = re.compile(r"\d+(?:\.\d+){4,}")


def spoken_name(path: Path, folder: Path) -> str:
    """Name of a file below its folder for messages; a UID in it keeps its last eight characters only."""
    name = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
    return _UID.sub(lambda match: "…" + match.group()[-8:], name)


def has_preamble(path: Path) -> bool:
    """Whether a file begins like a DICOM file: 128 bytes, then DICM."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def open_dicom(
    path: Path, name: str, code: str, keywords: Sequence[str] | None = None, *, pixels: bool = False
) -> Dataset:
    """Read a file's elements.

    Args:
        path: the file.
        name: how messages call it.
        code: reason code of a failure.
        keywords: elements to keep; None keeps all.
        pixels: also read the pixel data.

    Raises:
        UnreadableInput: the bytes are not DICOM.
    """
    try:
        return dcmread(path, stop_before_pixels=not pixels, specific_tags=None if keywords is None else list(keywords))
    except Exception as error:  # Broken bytes raise anything, from struct.error to RecursionError.
        raise UnreadableInput(name, "file", "readable DICOM", one_line(error), code) from error


def decode_pixels(dataset: Dataset, name: str, code: str) -> np.ndarray:
    """The stored values of an image.

    Raises:
        UnreadableInput: pixel data are absent, truncated or in a compression without decoder.
    """
    try:
        return dataset.pixel_array
    except Exception as error:  # Decoders raise whatever they like on broken streams.
        raise UnreadableInput(name, "PixelData (7FE0,0010)", "a decodable image", one_line(error), code) from error


def text(dataset: Dataset, keyword: str) -> str:
    """An element as stripped text; the first of several values; absent or unreadable is empty."""
    value = texts(dataset, keyword)
    return value[0] if value else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of an element as stripped printable text, at most 64 characters each as in DICOM's short types."""
    try:
        value = dataset.get(keyword)
    except Exception:  # An element whose bytes contradict its type holds no text.
        return ()
    if value is None or value == "":
        return ()
    values = [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else value
    return tuple(_printable(str(item)[:256]).strip()[:64] for item in values)


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
    tag = Tag(tag_for_keyword(keyword) or 0)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


def label(value: str) -> str | None:
    """A short technical text (kernel, manufacturer, model) with harmless characters only; None if empty."""
    return re.sub(r"[^A-Za-z0-9 ._+/-]", "", value)[:48].strip() or None


def one_line(error: BaseException) -> str:
    """An exception in one short line."""
    return _printable(" ".join(f"{type(error).__name__}: {error}".split()))[:200]


def _printable(value: str) -> str:
    return "".join(character for character in value if character.isprintable())
