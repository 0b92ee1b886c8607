"""Every trap of a CT folder is read right or refused; beside it, what SimpleITK makes of the same files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from tests.ingest.reading import independent, read

from osteoray.errors.unreadable import Withheld

Series = Callable[..., list[Dataset]]
Save = Callable[..., Path]
Spoil = Callable[[list[Dataset]], list[Dataset]]

RIGHT = ""


def clean(images: list[Dataset]) -> list[Dataset]:
    return images


def one_missing(images: list[Dataset]) -> list[Dataset]:
    return images[:7] + images[8:]


def uneven(images: list[Dataset]) -> list[Dataset]:
    """2 mm, then 4 mm."""
    for k, image in enumerate(images):
        image.ImagePositionPatient[2] += 2 * max(k - 10, 0)
    return images


def copied(images: list[Dataset]) -> list[Dataset]:
    """One image twice, as a second export leaves it."""
    return [*images, images[7]]


def doubled(images: list[Dataset]) -> list[Dataset]:
    """Another image at the position of one."""
    images[8].ImagePositionPatient = images[7].ImagePositionPatient
    return images


def tilted(images: list[Dataset]) -> list[Dataset]:
    """Slices lean by 15 degrees and still advance along the body: sheared."""
    angle = np.radians(15)
    for image in images:
        image.ImageOrientationPatient = [1, 0, 0, 0, round(float(np.cos(angle)), 6), round(float(np.sin(angle)), 6)]
        image.GantryDetectorTilt = 15
    return images


def tilt_in_the_tag_only(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.GantryDetectorTilt = 15
    return images


def slope_changes(images: list[Dataset]) -> list[Dataset]:
    """Every image has its own slope and intercept, and the same HU."""
    for k, image in enumerate(images):
        divisor = 1 + k % 4
        image.RescaleSlope, image.RescaleIntercept = 1 / divisor, -1024
        image.PixelData = (np.frombuffer(image.PixelData, "<u2") * divisor).tobytes()
    return images


def padded(images: list[Dataset]) -> list[Dataset]:
    """Rows outside the field hold -2000, as stored values."""
    for image in images:
        image.PixelRepresentation = 1
        stored = image.pixel_array.astype("<i2")
        stored[:4] = -2000
        image.PixelData = stored.tobytes()
        image.add_new("PixelPaddingValue", "SS", -2000)
    return images


def padded_beyond_the_bits(images: list[Dataset]) -> list[Dataset]:
    """12 bits are stored, padding is 63536 (-2000 in 16 bits): masking the bits would make it 1072 HU."""
    for image in images:
        stored = image.pixel_array.astype("<u2")
        stored[:4] = 63536
        image.BitsStored, image.HighBit, image.PixelData = 12, 11, stored.tobytes()
        image.add_new("PixelPaddingValue", "US", 63536)
    return images


def overlay_in_unused_bits(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        stored = image.pixel_array.astype("<u2")
        stored[10:20, 10:20] |= 0x8000
        image.BitsStored, image.HighBit, image.PixelData = 12, 11, stored.tobytes()
    return images


def other_unit(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.RescaleType = "US"
    return images


def intercept_twice(images: list[Dataset]) -> list[Dataset]:
    """A converter subtracted 1024 twice: air is far below air, tissue looks like air."""
    for image in images:
        image.RescaleIntercept = -2048
    return images


def thick(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.SliceThickness = 5
    return images


def rows_fewer_than_stored(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        image.Rows = 24
    return images


PADDING_ROWS = 4
CASES: dict[str, tuple[Spoil, str, str]] = {
    # our code, or right; then what SimpleITK 2.5 returns; with two images at one place its order is that of chance
    "clean": (clean, RIGHT, "right"),
    "one slice missing": (
        one_missing,
        "ING-MISSING",
        "19 x 48 x 64, 2.111 mm, -1010 to 900 HU, slices up to 1.2 mm off",
    ),
    "distance 2, then 4 mm": (
        uneven,
        "ING-SPACING",
        "20 x 48 x 64, 2.947 mm, -1010 to 900 HU, slices up to 9.5 mm off",
    ),
    "one image copied": (copied, RIGHT, "21 x 48 x 64, .*"),
    "two images at one position": (doubled, "ING-DUPLICATE", "20 x 48 x 64, .* off"),
    "gantry tilt of 15 degrees": (
        tilted,
        "ING-TILT",
        "20 x 48 x 64, 2.000 mm, -1010 to 900 HU, slices up to 9.9 mm off",
    ),
    "tilt recorded, not visible": (tilt_in_the_tag_only, "ING-TILT", "right"),
    "rescale slope changes": (slope_changes, RIGHT, "right"),
    "padding of -2000": (padded, RIGHT, "20 x 48 x 64, 2.000 mm, -3024 to 900 HU, slices up to 0.0 mm off"),
    "padding beyond the stored bits": (
        padded_beyond_the_bits,
        RIGHT,
        "20 x 48 x 64, 2.000 mm, -1010 to 1072 HU, slices up to 0.0 mm off",
    ),
    "overlay in unused bits": (overlay_in_unused_bits, RIGHT, "right"),
    "unit is not HU": (other_unit, "ING-RESCALE", "right"),
    "intercept subtracted twice": (
        intercept_twice,
        "ING-RESCALE",
        "20 x 48 x 64, 2.000 mm, -2034 to -124 HU, slices up to 0.0 mm off",
    ),
    "slices of 5 mm": (thick, "ING-THICK", "right"),
    "matrix smaller than stored": (
        rows_fewer_than_stored,
        "ING-DICOM",
        "20 x 24 x 64, 2.000 mm, -1010 to 900 HU, slices up to 0.0 mm off",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_a_trap_is_read_right_or_refused(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, case: str
) -> None:
    spoil, code, _ = CASES[case]
    folder = save(tmp_path, spoil(clean_series()))
    if code:
        with pytest.raises(Withheld) as refusal:
            read(folder)
        assert refusal.value.finding.code == code
        return
    scan, expected = read(folder), hu.copy()
    if "padding" in case:
        expected[:, :PADDING_ROWS] = -1024
    assert (scan.volume.array == expected).all()
    np.testing.assert_allclose(scan.volume.grid.spacing_mm, [2.0, 1.5, 1.25])
    assert ("exact copies" in str(scan.facts["repairs"])) == (case == "one image copied")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_simpleitk_makes_of_the_trap_what_the_documentation_says(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, case: str
) -> None:
    spoil, _, told = CASES[case]
    images = spoil(clean_series())
    positions_mm = np.unique([image.ImagePositionPatient for image in images], axis=0)
    made = simpleitk_makes(save(tmp_path, images), hu, positions_mm[positions_mm[:, 2].argsort()])
    assert re.fullmatch(told, made), made


def simpleitk_makes(folder: Path, hu: np.ndarray, positions_mm: np.ndarray) -> str:
    image = independent(folder)
    columns, rows, slices = image.GetSize()
    values = np.array(sitk.GetArrayViewFromImage(image))
    found_mm = [image.TransformIndexToPhysicalPoint((0, 0, k)) for k in range(min(slices, len(positions_mm)))]
    off_mm = np.linalg.norm(found_mm - positions_mm[: len(found_mm)], axis=1).max()
    if values.shape == hu.shape and (values == hu).all() and off_mm < 0.01:
        return "right"
    size = f"{slices} x {rows} x {columns}, {image.GetSpacing()[2]:.3f} mm"
    return f"{size}, {values.min()} to {values.max()} HU, slices up to {off_mm:.1f} mm off"
