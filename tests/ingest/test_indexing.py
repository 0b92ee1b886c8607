"""A DICOM tree of any layout becomes the two cohort tables, with a reason for every series."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from osteoray.ingest import tree as tree_module
from osteoray.ingest.header_cache import begin, load
from osteoray.ingest.indexing import Index, index_tree, patient_names
from osteoray.ingest.tree import read_file, read_tree
from osteoray.ingest.tree_file import TreeFile


def index(tree: Path) -> Index:
    return index_tree(read_tree(tree, 1), min_coverage_mm=20.0, max_thickness_mm=3.0, name_patients=patient_names)


@pytest.fixture
def tree(tmp_path: Path, clean_series: Callable, clean_xray: Callable, save: Callable) -> Path:
    """Two patients of 2019 and 2020; the later one has two reconstructions in one folder and a chest X-ray."""
    person = {"PatientSex": "F", "PatientAge": "071Y", "PatientSize": 1.55, "PatientWeight": 52.5}
    first = {"PatientID": "B 12/3", "StudyDate": "20190305"} | person
    save(tmp_path / "z" / "ct", clean_series("2", **first))
    save(tmp_path / "z" / "xr", [clean_xray(SeriesDescription="Pelvis STANDING", SeriesNumber=7, **first)])
    later = {"PatientID": "A", "StudyDate": "20200101"} | person
    save(tmp_path / "a", clean_series("3", **later), "soft")
    save(tmp_path / "a", clean_series("4", ConvolutionKernel="BONE", **later), "bone")
    save(
        tmp_path / "a", [clean_xray(SeriesDescription="chest", SeriesNumber=8, BodyPartExamined="CHEST", **later)], "c"
    )
    save(tmp_path / "a", [clean_xray(ProtocolName="hip abduction", SeriesNumber=9, **later)], "d")
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM\2\0")
    return tmp_path


def test_patients_come_in_the_order_of_their_first_study(tree: Path) -> None:
    rows = index(tree).patients
    assert [row["patient_id"] for row in rows] == ["B_12_3", "A"]
    assert rows[0] | {"age": 71} == {
        "patient_id": "B_12_3", "sex": "F", "age": 71, "height_cm": 155.0, "weight_kg": 52.5, "ct": "z/ct",
        "target_side": "both", "exclude": "",
    }  # fmt: skip


def test_x_rays_carry_the_pose_of_their_description(tree: Path) -> None:
    rows = [(row["patient_id"], row["xray_id"], row["pose"]) for row in index(tree).xrays]
    assert rows == [("B_12_3", "X1", "standing"), ("A", "X1", "abduction")]


def test_every_series_says_why_it_was_taken_or_left(tree: Path) -> None:
    reasons = {(row["patient_id"], row["series_number"]): (row["taken"], row["reason"]) for row in index(tree).series}
    assert reasons["A", "3"][1].endswith("ingest picks it among 20 other CT images in its folder")
    assert reasons["A", "4"] == ("no", "sharper kernel")
    assert reasons["A", "8"] == ("no", "body part CHEST")
    assert reasons["", ""][0] == "no"


def test_a_folder_shared_by_patients_is_excluded_with_its_reason(
    tmp_path: Path, clean_series: Callable, save: Callable
) -> None:
    save(tmp_path, clean_series("2", PatientID="A"), "a")
    save(tmp_path, clean_series("3", PatientID="B"), "b")
    rows = index(tmp_path).patients
    assert [row["ct"] for row in rows] == [".", "."]
    assert all("other patients" in row["exclude"] for row in rows)


def test_studies_without_patient_id_are_patients_of_their_own_and_excluded(
    tmp_path: Path, clean_series: Callable, clean_xray: Callable, save: Callable
) -> None:
    save(tmp_path / "a", clean_series("2", PatientID="", StudyInstanceUID="1.2.3.4.1", StudyDate="20200101"))
    save(tmp_path / "b", clean_series("3", PatientID=None, StudyInstanceUID="1.2.3.4.2", StudyDate="20210101"))
    save(tmp_path / "c", [clean_xray(PatientID=None, StudyInstanceUID="1.2.3.4.3", StudyDate="20220101")])
    found = index(tmp_path)
    assert [row["ct"] for row in found.patients] == ["a", "b", ""]
    assert len({row["patient_id"] for row in found.patients}) == 3
    assert all(row["exclude"].startswith("no PatientID; ") for row in found.patients)
    assert not any("1.2.3" in row["patient_id"] for row in found.patients)
    assert [row["patient_id"] for row in found.xrays] == [found.patients[2]["patient_id"]]


def test_a_study_without_patient_id_shares_no_folder_with_another(
    tmp_path: Path, clean_series: Callable, save: Callable
) -> None:
    for number in "12":
        save(tmp_path, clean_series(number, PatientID="", StudyInstanceUID=f"1.2.3.4.{number}"), number)
    rows = index(tmp_path).patients
    assert len(rows) == 2 and all("CT images of other patients" in row["exclude"] for row in rows)


def test_a_file_named_as_dicom_that_is_none_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "IM0001.dcm").write_bytes(b"no preamble")
    (tmp_path / "notes.txt").write_text("nothing")
    rows = [(row["modality"], row["taken"], row["reason"]) for row in index(tmp_path).series]
    assert rows == [("not DICOM", "no", "not DICOM")]


def test_kept_headers_are_for_their_owner_and_replaced_whole(tree: Path, tmp_path: Path) -> None:
    cache = tmp_path.parent / f"{tmp_path.name}.jsonl"
    cache.write_text("an older one that all could read")
    cache.chmod(0o644)
    read_tree(tree, 1, cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    before = cache.read_text(encoding="utf-8")

    def broken() -> Iterator:
        yield from load(cache, tree).items()
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        begin(cache, broken())
    assert cache.read_text(encoding="utf-8") == before
    assert not list(cache.parent.glob(".*partial*"))


def test_names_stay_unique_after_cleaning() -> None:
    assert patient_names(["a/b", "a b", "", "a_b"]) == {"": "unnamed", "a b": "a_b", "a/b": "a_b_2", "a_b": "a_b_3"}


def test_processes_read_what_one_process_reads(
    tmp_path: Path, clean_xray: Callable[..., Dataset], save: Callable
) -> None:
    save(tmp_path, [clean_xray(SeriesNumber=n) for n in range(5)])
    files = read_tree(tmp_path, 1)
    assert [(f.path, f.kind, f.series_number) for f in read_tree(tmp_path, 2)] == [
        (f.path, f.kind, f.series_number) for f in files
    ]


def test_indexing_goes_on_where_it_was_stopped(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path.parent / f"{tmp_path.name}.jsonl"
    whole = index_of(read_tree(tree, 1, cache))
    lines = cache.read_text(encoding="utf-8").splitlines(keepends=True)
    # Stopped in the middle of a line.
    cache.write_text("".join(lines[:30]) + lines[30][:50], encoding="utf-8")
    read = []
    monkeypatch.setattr(tree_module, "read_file", lambda path, name: (read.append(name), read_file(path, name))[1])
    assert index_of(read_tree(tree, 1, cache)) == whole
    assert len(read) == len(lines) - 30
    assert index_of(read_tree(tree, 1, cache)) == whole and len(read) == len(lines) - 30


def test_a_changed_file_and_another_version_are_read_again(tree: Path, tmp_path: Path) -> None:
    cache = tmp_path.parent / f"{tmp_path.name}.jsonl"
    read_tree(tree, 1, cache)
    (tree / "broken.dcm").write_bytes(b"changed")
    (known,) = [file for file in read_tree(tree, 1, cache) if file.path == "broken.dcm"]
    assert known.kind == "not DICOM"
    cache.write_text(cache.read_text(encoding="utf-8").replace('"words"]', '"other"]', 1), encoding="utf-8")
    assert load(cache, tree) == {}


def index_of(files: list[TreeFile]) -> Index:
    return index_tree(files, min_coverage_mm=20.0, max_thickness_mm=3.0, name_patients=patient_names)
