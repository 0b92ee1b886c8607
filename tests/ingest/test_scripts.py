"""The scripts of ingest: a cheap record of the source, and one bad X-ray that leaves the others alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.paths import ROOT

from osteoray.store.manifest import read_json, read_manifest
from osteoray.store.nifti import read_radiograph, read_volume

XRAYS = [
    {"xray_id": "X1", "path": "xr/IM0000.dcm", "pose": "standing"},
    {"xray_id": "X2", "path": "xr/gone.dcm", "pose": "supine"},
]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


@pytest.fixture
def raw(tmp_path: Path, clean_series: Callable, clean_xray: Callable, save: Callable) -> Path:
    save(tmp_path / "raw" / "ct", clean_series())
    save(tmp_path / "raw" / "xr", [clean_xray()])
    return tmp_path / "raw"


def record(raw: Path, ct: str) -> Path:
    output = raw.parent / "ingest" / "P1" / "source.json"
    run(
        "record_source.py",
        "--patient",
        "P1",
        "--raw",
        raw,
        "--ct",
        ct,
        "--xrays",
        json.dumps(XRAYS),
        "--output",
        output,
    )
    return output


def ingest(raw: Path, ct: str) -> tuple[Path, str]:
    source, output = record(raw, ct), raw.parent / "ingest" / "P1" / "manifest.json"
    result = run(
        "ingest_patient.py", "--patient", "P1", "--raw", raw, "--ct", ct, "--xrays", json.dumps(XRAYS), "--source",
        source, "--config", json.dumps({"min_coverage_mm": 20, "most_cut_mm": 1000}), "--output", output,
    )  # fmt: skip
    return output, result.stderr


def test_the_source_changes_with_the_content_and_not_otherwise(raw: Path) -> None:
    before = record(raw, "ct").read_bytes()
    assert read_json(record(raw, "ct"))["xrays"]["X2"] == "missing"
    (raw / "ct" / "IM0003.dcm").rename(raw / "ct" / "other.dcm")
    assert record(raw, "ct").read_bytes() == before
    (raw / "ct" / "other.dcm").write_bytes(b"changed")
    assert record(raw, "ct").read_bytes() != before


def test_one_missing_x_ray_leaves_the_patient(raw: Path) -> None:
    path, told = ingest(raw, "ct")
    manifest = read_manifest(path)
    assert manifest.verdict == "warning"
    assert [(f.code, f.xray_id) for f in manifest.findings] == [("TAB-PATH", "X2")]
    assert list(manifest.facts["xrays"]) == ["X1"]
    assert read_volume(manifest.file("ct")).array.shape == tuple(manifest.facts["ct"]["shape"])
    assert list(read_radiograph(manifest.file("xray_X1")).array.shape) == manifest.facts["xrays"]["X1"]["shape"]
    assert told.count("\n") == 1
    assert b"Planted" not in path.read_bytes()


def test_an_x_ray_of_another_person_leaves_the_patient(raw: Path, clean_xray: Callable, save: Callable) -> None:
    save(raw / "xr", [clean_xray(PatientID="SECRET")])
    path, told = ingest(raw, "ct")
    findings = {finding.xray_id: finding.code for finding in read_manifest(path).findings}
    assert findings["X1"] == "ING-PERSON"
    assert "SECRET" not in told and b"SECRET" not in path.read_bytes() and b"4711" not in path.read_bytes()


def test_a_missing_ct_withholds_the_patient_in_one_line(raw: Path) -> None:
    path, told = ingest(raw, "nowhere")
    assert read_manifest(path).is_withheld
    assert told.strip() == "P1: ingest: TAB-PATH: patients.tsv: ct: expected an existing folder, got none there"


def test_an_index_counts_studies_without_patient_id(raw: Path, clean_series: Callable, save: Callable) -> None:
    save(raw / "nameless", clean_series("5", PatientID="", StudyInstanceUID="1.2.3.4.5"))
    told = run("index_dicom.py", raw, "--output", raw.parent / "index", "--workers", 1).stdout
    assert "studies without PatientID, each a patient of its own and excluded: 1" in told


def test_folders_without_patients_are_left_out_of_the_index(raw: Path, clean_series: Callable, save: Callable) -> None:
    save(raw / "qa" / "ct1", clean_series("5", PatientID="WATER", StudyInstanceUID="1.2.3.4.5"))
    options = ("--workers", 1, "--names", "stored")
    for folders, is_there in (((), True), (("--leave-out", "qa"), False)):
        output = raw.parent / f"index{len(folders)}"
        run("index_dicom.py", raw, "--output", output, *options, *folders)
        assert ("WATER" in (output / "series.tsv").read_text()) == is_there


def test_an_index_calls_patients_by_pseudonyms_and_keeps_who_they_are_apart(raw: Path) -> None:
    output = raw.parent / "index"
    run("index_dicom.py", raw, "--output", output, "--workers", 1)
    rows = [line.split("\t") for line in (output / "identities.tsv").read_text().splitlines()]
    assert rows[0] == ["patient_id", "PatientID"]
    assert stat.S_IMODE((output / "identities.tsv").stat().st_mode) == 0o600
    tables = {name: (output / f"{name}.tsv").read_text() for name in ("patients", "xrays", "series")}
    for name, stored in rows[1:]:
        assert name.startswith("P") and name in tables["patients"]
        assert all(f"{stored}\t" not in table for table in tables.values() if stored)
    again = run("index_dicom.py", raw, "--output", output, "--workers", 1)
    assert [line.split("\t") for line in (output / "identities.tsv").read_text().splitlines()] == rows, again
    run("index_dicom.py", raw, "--output", output, "--workers", 1, "--names", "stored")
    assert rows[1][1] in (output / "patients.tsv").read_text()
