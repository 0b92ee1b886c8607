"""A CT folder is read right, as an independent reader reads it, or refused with its code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from tests.ingest.reading import assert_same_world, independent, read

from osteoray.errors.unreadable import Withheld

Series = Callable[..., list[Dataset]]
Save = Callable[..., Path]


def test_clean_series_with_shuffled_names_is_read_exactly(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray
) -> None:
    scan = read(save(tmp_path, clean_series()))
    assert (scan.volume.array == hu).all()
    assert scan.volume.array.dtype == np.int16
    np.testing.assert_allclose(scan.volume.grid.spacing_mm, [2.0, 1.5, 1.25])
    np.testing.assert_allclose(scan.volume.grid.world_from_index[:3, 3], [-40, -30, 100])
    assert_same_world(scan.volume, independent(tmp_path))


@pytest.mark.parametrize(
    ("orientation", "position", "step"),
    [
        ([-1, 0, 0, 0, 1, 0], [10, -30, 100], [0, 0, -2]),
        ([1, 0, 0, 0, -1, 0], [-40, 30, 100], [0, 0, 2]),
        ([-1, 0, 0, 0, -1, 0], [10, 30, 100], [0, 0, 2]),
        ([0, 1, 0, 1, 0, 0], [-40, -30, 100], [0, 0, 2]),
        ([0.99939, 0, -0.0349, 0, 1, 0], [-40, -30, 100], [0.0698, 0, 1.99878]),
    ],
    ids=["feet first", "flipped rows", "prone", "transposed", "two degrees oblique"],
)
def test_any_orientation_keeps_every_voxel_in_its_place(
    tmp_path: Path, clean_series: Series, save: Save, orientation: list, position: list, step: list
) -> None:
    datasets = clean_series(ImageOrientationPatient=orientation)
    for k, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [round(float(p + k * s), 4) for p, s in zip(position, step, strict=True)]
    volume = read(save(tmp_path, datasets)).volume
    assert_same_world(volume, independent(tmp_path))
    linear = volume.grid.world_from_index[:3, :3]
    assert linear[2, 0] > 0 and linear[1, 1] > 0 and linear[0, 2] > 0


def spoil_missing(datasets: list[Dataset]) -> None:
    del datasets[7]


def spoil_duplicate(datasets: list[Dataset]) -> None:
    datasets[8].ImagePositionPatient = datasets[7].ImagePositionPatient


def spoil_spacing(datasets: list[Dataset]) -> None:
    for k, dataset in enumerate(datasets):
        dataset.ImagePositionPatient[2] += 2 * max(k - 10, 0)


def spoil_one_distance(datasets: list[Dataset]) -> None:
    for dataset in datasets[12:]:
        dataset.ImagePositionPatient[2] += 0.3


def spoil_tilt(datasets: list[Dataset]) -> None:
    angle = np.radians(15)
    for dataset in datasets:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, round(np.cos(angle), 6), round(np.sin(angle), 6)]


def spoil_sideways(datasets: list[Dataset]) -> None:
    datasets[5].ImagePositionPatient[0] += 3


def spoil_thickness(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.SliceThickness = 5


def spoil_one_thickness(datasets: list[Dataset]) -> None:
    datasets[7].SliceThickness = 5


def spoil_mixed_thickness(datasets: list[Dataset]) -> None:
    for dataset in datasets[10:]:
        dataset.SliceThickness = 2.5


def spoil_unit(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.RescaleType = "US"


def spoil_slope(datasets: list[Dataset]) -> None:
    datasets[3].RescaleSlope = 0


def spoil_intercept(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        del dataset.RescaleIntercept


def spoil_air(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.RescaleIntercept = 0


def spoil_position(datasets: list[Dataset]) -> None:
    del datasets[3].ImagePositionPatient


def spoil_spacing_count(datasets: list[Dataset]) -> None:
    datasets[3].PixelSpacing = "0.7"


def spoil_derived(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.ImageType = ["DERIVED", "SECONDARY", "MPR"]


def spoil_coronal(datasets: list[Dataset]) -> None:
    for k, dataset in enumerate(datasets):
        dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 0, -1], [-40, 2 * k, 100]


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (spoil_missing, "ING-MISSING", "1 slice.s. missing"),
        (spoil_duplicate, "ING-DUPLICATE", "1 position.s. hold two slices"),
        (spoil_spacing, "ING-SPACING", "slice distance: expected"),
        (spoil_one_distance, "ING-SPACING", "got 2.300"),
        (spoil_tilt, "ING-TILT", "15.0 degrees"),
        (spoil_sideways, "ING-SPACING", "3.00 mm beside"),
        (spoil_thickness, "ING-THICK", "5 mm thick"),
        (spoil_one_thickness, "ING-THICK", "5 mm thick"),
        (spoil_mixed_thickness, "ING-SPACING", "one thickness in all slices, got 2 to 2.5 mm"),
        (spoil_unit, "ING-RESCALE", "expected HU, got 'US'"),
        (spoil_slope, "ING-RESCALE", "positive slope"),
        (spoil_intercept, "ING-RESCALE", "an intercept, got 1.0, None"),
        (spoil_air, "ING-RESCALE", "expected air"),
        (spoil_position, "ING-DICOM", "ImagePositionPatient.*got nothing"),
        (spoil_spacing_count, "ING-DICOM", r"PixelSpacing \(0028,0030\): expected 2 finite"),
        (spoil_derived, "ING-SERIES", "image type SECONDARY"),
        (spoil_coronal, "ING-SERIES", "not axial"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_series_that_would_be_read_wrong_is_refused(
    tmp_path: Path, clean_series: Series, save: Save, spoil: Callable, code: str, words: str
) -> None:
    datasets = clean_series()
    spoil(datasets)
    with pytest.raises(Withheld, match=words) as refusal:
        read(save(tmp_path, datasets))
    assert refusal.value.finding.code == code
    assert "\n" not in refusal.value.finding.detail


def test_rescale_is_applied_slice_by_slice(tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray) -> None:
    datasets = clean_series()
    for k, dataset in enumerate(datasets):
        slope, intercept = 0.5 + 0.05 * k, -1200 + k
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.PixelData = np.round((hu[k] - intercept) / slope).astype("<u2").tobytes()
    volume = read(save(tmp_path, datasets)).volume
    assert np.abs(volume.array.astype(int) - hu).max() <= 1


@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_becomes_air(tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, padding: int) -> None:
    datasets = clean_series(PixelRepresentation=1)
    for k, dataset in enumerate(datasets):
        stored = hu[k].astype(np.int16) + 1024
        stored[:4] = -2000
        dataset.PixelData = stored.astype("<i2").tobytes()
        dataset.add_new("PixelPaddingValue", "US" if padding > 0 else "SS", padding)
    scan = read(save(tmp_path, datasets))
    assert (scan.volume.array[:, :4] == -1024).all()
    assert (scan.volume.array[:, 4:] == hu[:, 4:]).all()
    assert "padded pixels" in scan.facts["repairs"][0]


def test_truncated_files_are_refused_in_one_line_with_their_name(
    tmp_path: Path, clean_series: Series, save: Save
) -> None:
    save(tmp_path, clean_series())
    victim = tmp_path / "IM0004.dcm"
    whole = victim.read_bytes()
    for length in (0, 100, 140, 300, 500, len(whole) - 2000, len(whole) - 3):
        victim.write_bytes(whole[:length])
        with pytest.raises(Withheld, match=r"IM0004\.dcm: ") as refusal:
            read(tmp_path)
        assert refusal.value.finding.code == "ING-DICOM", length
        assert "\n" not in str(refusal.value)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(Withheld, match="expected CT images, got 1 other file") as refusal:
        read(tmp_path)
    assert refusal.value.finding.code == "ING-EMPTY"


def test_the_refusal_of_a_folder_does_not_tell_its_name(tmp_path: Path) -> None:
    (tmp_path / "DOE^JANE").mkdir()
    with pytest.raises(Withheld, match="ING-EMPTY: CT folder: ") as refusal:
        read(tmp_path / "DOE^JANE")
    assert "DOE" not in str(refusal.value)


def test_the_unit_may_be_written_in_lower_case(tmp_path: Path, clean_series: Series, save: Save) -> None:
    assert read(save(tmp_path, clean_series(RescaleType="hu"))).volume.array.shape == (20, 48, 64)


@pytest.mark.parametrize("agent", ["NONE", "no", "N", " n/a ", ""])
def test_saying_that_no_agent_was_given_is_no_contrast(
    tmp_path: Path, clean_series: Series, save: Save, agent: str
) -> None:
    assert not read(save(tmp_path, clean_series(ContrastBolusAgent=agent))).facts["has_contrast"]


def test_a_contrast_agent_counts_as_text_and_as_code(tmp_path: Path, clean_series: Series, save: Save) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "44588005", "SCT", "Iodine"
    for name, elements in (("a", {"ContrastBolusAgent": "IOHEXOL"}), ("b", {"ContrastBolusAgentSequence": [code]})):
        scan = read(save(tmp_path / name, clean_series(**elements)))
        assert "ING-CONTRAST" in [finding.code for finding in scan.findings]


def test_facts_name_nobody(tmp_path: Path, clean_series: Series, save: Save) -> None:
    datasets = clean_series(SeriesDescription="Planted^Name", InstitutionName="Planted", StationName="Planted")
    told = str(read(save(tmp_path, datasets)).facts)
    for secret in ("Planted", "4711", "1950", "2020", str(datasets[0].SeriesInstanceUID)):
        assert secret not in told


def test_a_real_scan_agrees_with_an_independent_reader(shared_data: Path) -> None:
    folder = shared_data / "scans" / "pelvis-top-dicom"
    scan, image = read(folder), independent(folder)
    assert scan.volume.array.shape == (36, 512, 512)
    assert_same_world(scan.volume, image)
    whole = sitk.GetArrayViewFromImage(image)
    # Axial and head first: the two arrays differ in nothing but the rows' direction of reading.
    assert (np.clip(whole, -1024, None) == scan.volume.array).all()
    np.testing.assert_allclose(scan.volume.grid.spacing_mm, image.GetSpacing()[::-1], atol=1e-4)
    assert scan.facts["repairs"] == [] and scan.facts["kernel"] == "B"


def test_spoiled_bytes_are_read_or_refused_in_one_short_line(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray
) -> None:
    rng = np.random.default_rng(11)
    save(tmp_path, clean_series()[:6])
    victim = tmp_path / "IM0003.dcm"
    whole = np.frombuffer(victim.read_bytes(), np.uint8)
    for _ in range(60):
        spoiled = whole.copy()
        spoiled[rng.integers(132, 1400, rng.integers(1, 8))] = rng.integers(0, 256)
        victim.write_bytes(spoiled.tobytes())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                volume = read(tmp_path, min_coverage_mm=5.0).volume
        except Withheld as refusal:
            assert "\n" not in str(refusal) and len(str(refusal)) < 700
        else:
            assert volume.array.shape[1:] == hu.shape[1:]
