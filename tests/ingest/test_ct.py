"""A CT folder is read right, as an independent reader reads it, or refused with its code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import openjpeg
import pytest
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
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


SYNTAXES = [RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_lossless_compression_changes_nothing(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, syntax: UID
) -> None:
    folder = save(tmp_path, clean_series())
    for path in folder.iterdir():
        compress(path, syntax)
    assert (read(folder).volume.array == hu).all()


def compress(path: Path, syntax: UID) -> None:
    """Write a file anew in another transfer syntax."""
    dataset = dcmread(path)
    if syntax == JPEGLosslessSV1:
        gdcm_compress(path, gdcm.TransferSyntax.JPEGLosslessProcess14_1)
        return
    if syntax == JPEG2000Lossless:
        dataset.PixelData = encapsulate([openjpeg.encode(dataset.pixel_array, codec_format=0)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        dataset.compress(syntax)
    dataset.save_as(path, enforce_file_format=True)


def gdcm_compress(path: Path, syntax: int) -> None:
    """JPEG lossless: only GDCM writes it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def test_objects_of_other_kinds_are_counted_whatever_their_pixels(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray
) -> None:
    segmentation = clean_series("9")[0]
    segmentation.SOPClassUID = segmentation.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    segmentation.BitsAllocated = segmentation.BitsStored = 1
    save(tmp_path, [segmentation], "seg")
    scan = read(save(tmp_path, clean_series()))
    assert (scan.volume.array == hu).all() and scan.facts["other_objects"] == {"other DICOM object": 1}


def test_localizer_report_and_system_files_are_left_aside(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray
) -> None:
    localizer = clean_series("1", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[0]
    capture = clean_series("3")[0]
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    save(tmp_path / "deep" / "er", clean_series())
    save(tmp_path, [localizer, capture], "other")
    (tmp_path / "README.txt").write_text("not DICOM")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    scan = read(tmp_path)
    assert (scan.volume.array == hu).all()
    assert scan.facts["other_objects"] == {"hidden file": 1, "other file": 1, "secondary capture": 1}
    assert scan.facts["alternatives"][0]["not_chosen"] == "image type LOCALIZER"


@pytest.mark.parametrize(
    ("better", "worse", "reason"),
    [
        ({}, {"ConvolutionKernel": "BONE"}, "sharper kernel"),
        ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, "sharper kernel"),
        ({"ConvolutionKernel": "FC08"}, {"ConvolutionKernel": "FC50"}, "sharper kernel"),
        ({"ConvolutionKernel": "BONE"}, {"SliceThickness": 5}, "slices too thick"),
        ({"SliceThickness": 1.25}, {}, "thicker slices"),
        ({"SliceThickness": 2.5, "SeriesDescription": "Hip axial"}, {}, "descriptions name the hips less"),
        ({"ConvolutionKernel": "BONE"}, {"ProtocolName": "CHEST"}, "descriptions name the hips less"),
    ],
)
def test_the_series_is_chosen_by_stated_rules(
    tmp_path: Path, clean_series: Series, save: Save, better: dict, worse: dict, reason: str
) -> None:
    save(tmp_path, clean_series("3", **better), "b")
    save(tmp_path, clean_series("2", **worse), "a")
    facts = read(tmp_path).facts
    assert facts["series"]["series_number"] == 3
    assert facts["alternatives"][0]["not_chosen"] == reason


def test_a_short_series_is_no_choice(tmp_path: Path, clean_series: Series, save: Save) -> None:
    with pytest.raises(Withheld, match="covers 38 mm in 20 slices, 80 mm needed"):
        read(save(tmp_path, clean_series()), min_coverage_mm=80.0)


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
