"""Which images of a folder are one series, which series is measured, and what is left aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, SegmentationStorage, generate_uid
from tests.ingest.reading import read

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.tree import read_file

Series = Callable[..., list[Dataset]]
Save = Callable[..., Path]


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


@pytest.mark.parametrize(
    "elements", [{"KVP": 80}, {"FrameOfReferenceUID": generate_uid()}], ids=["tube voltage", "frame of reference"]
)
def test_a_change_within_a_series_begins_another(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, elements: dict
) -> None:
    datasets = clean_series()
    for dataset in datasets[13:]:
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    scan = read(save(tmp_path, datasets))
    assert (scan.volume.array == hu[:13]).all()
    assert scan.facts["alternatives"][0]["not_chosen"] == "covers 12 mm in 7 slices, 20 mm needed"
    with pytest.raises(Withheld, match="covers 24 mm in 13 slices, 30 mm needed"):
        read(tmp_path, min_coverage_mm=30.0)


def test_one_image_of_another_voltage_leaves_a_gap(tmp_path: Path, clean_series: Series, save: Save) -> None:
    datasets = clean_series()
    datasets[7].KVP = 80
    with pytest.raises(Withheld, match=r"1 slice.s. missing") as refusal:
        read(save(tmp_path, datasets))
    assert refusal.value.finding.code == "ING-MISSING"


@pytest.mark.parametrize("kind", [["ORIGINAL", "PRIMARY", "LOCALIZER"], ["DERIVED", "SECONDARY", "SCREEN SAVE"]])
@pytest.mark.parametrize("element", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_what_is_never_measured_needs_no_geometry(
    tmp_path: Path, clean_series: Series, save: Save, hu: np.ndarray, kind: list, element: str
) -> None:
    other = clean_series("1", ImageType=kind)[0]
    delattr(other, element)
    save(tmp_path, [other], "CT")
    assert read_file(tmp_path / "CTIM0000.dcm", "CTIM0000.dcm").kind == "localizer or derived CT without geometry"
    scan = read(save(tmp_path, clean_series()))
    assert (scan.volume.array == hu).all()
    assert scan.facts["other_objects"] == {"localizer or derived CT without geometry": 1}
