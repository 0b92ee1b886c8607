"""Files of several people are refused, without telling whose they are; names in messages identify nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset
from tests.ingest.reading import read

from osteoray.errors.unreadable import Withheld
from osteoray.ingest.dicom import spoken_name
from osteoray.ingest.persons import check_same_person, one_person
from osteoray.ingest.xray import read_xray

SETTINGS = {
    "log_offset": 8000.0, "log_units_per_neper": 1000.0, "display_nepers": 5.0, "accepts_display": True,
    "default_sid_mm": 1100.0,
}  # fmt: skip


@pytest.mark.parametrize("identifier", ["SECRET-2", None])
def test_a_series_with_an_image_of_another_person_is_refused(
    tmp_path: Path, clean_series: Callable[..., list[Dataset]], save: Callable[..., Path], identifier: str | None
) -> None:
    datasets = clean_series(PatientID="SECRET-1")
    datasets[7].PatientID = identifier
    with pytest.raises(Withheld, match="2 different ones") as refusal:
        read(save(tmp_path, datasets))
    assert refusal.value.finding.code == "ING-PERSON"
    assert "SECRET" not in str(refusal.value)


def test_the_other_series_of_a_folder_may_be_anyone(
    tmp_path: Path, clean_series: Callable[..., list[Dataset]], save: Callable[..., Path]
) -> None:
    save(tmp_path, clean_series("3", PatientID="B")[:12], "short")
    scan = read(save(tmp_path, clean_series("2", PatientID="A")))
    assert scan.person == "A"
    assert "person" not in scan.facts and "person" not in repr(scan)


@pytest.mark.parametrize(("of_xray", "of_ct"), [("SECRET-2", "SECRET-1"), ("", "SECRET-1"), ("SECRET-2", "")])
def test_an_x_ray_of_another_person_than_the_ct_is_refused(
    tmp_path: Path, clean_xray: Callable[..., Dataset], of_xray: str, of_ct: str
) -> None:
    clean_xray(PatientID=of_xray).save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with pytest.raises(Withheld, match=r"X1: PatientID .*the same as in the CT, got (another|none in the)") as refusal:
        read_xray(tmp_path / "x.dcm", "X1", person_of_ct=of_ct, **SETTINGS)
    assert refusal.value.finding.code == "ING-PERSON"
    assert "SECRET" not in str(refusal.value)
    assert read_xray(tmp_path / "x.dcm", "X1", person_of_ct=of_xray, **SETTINGS).findings == []


def test_files_that_all_lack_an_identifier_do_not_contradict_each_other() -> None:
    assert one_person(["", "", ""]) == ""
    check_same_person("", "", "X1")


@pytest.mark.parametrize(
    "name",
    [
        "IM0001.dcm",
        "IMG00042",
        "CT 3",
        "DICOM",
        "DICOMDIR",
        "SE-12",
        "series2",
        "STUDY_1",
        "0042",
        "42.ima",
        "V001",
        "X1.dcm",
    ],
)
def test_names_that_devices_give_stay(name: str) -> None:
    assert spoken_name(Path("/raw") / name, Path("/raw")) == name


@pytest.mark.parametrize(
    "name",
    [
        "A654321", "PAT123456", "P777.dcm", "123456", "12345", "19500101.dcm", "IM123456", "CT19500101", "V1234", "PA1",
        "DOE^JANE", "S1", "1.2.840.113619.2.55DOE", "1.2.840.113619.2.55_JANE", "A654321 1.2.840.113619.2.55",
    ],
)  # fmt: skip
def test_names_that_may_be_a_person_or_a_record_are_hashed(name: str) -> None:
    spoken = spoken_name(Path("/raw") / name, Path("/raw"))
    assert len(spoken) == 9 and spoken.startswith("~")


def test_a_unique_identifier_keeps_its_end() -> None:
    assert spoken_name(Path("/raw/CT.1.2.840.113619.2.55.dcm"), Path("/raw")) == "CT.…619.2.55.dcm"
    assert spoken_name(Path("/raw/1.2.840.113619.2.55"), Path("/raw")) == "…619.2.55"
