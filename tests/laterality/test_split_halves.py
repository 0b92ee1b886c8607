"""The script keeps every half X-ray, and the femur maps of usable target sides only."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from osteoray.errors.verdict import Finding
from osteoray.imaging.radiograph import Radiograph
from osteoray.store.arrays import read_arrays, write_arrays
from osteoray.store.manifest import Manifest, read_manifest
from osteoray.store.nifti import write_radiograph
from osteoray.store.release import read_index, read_rows

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SHAPE = (112, 96)


def run(monkeypatch: pytest.MonkeyPatch, script: str, **options: object) -> None:
    words = [script]
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")


def write_patient(folder: Path, patient: str = "P1", femur_row: int = 50, registered: bool = True) -> dict[str, Path]:
    """Manifests of a patient with one X-ray whose left and right differ."""
    rng = np.random.default_rng(0)
    xray = rng.normal(3, 0.2, SHAPE).astype(np.float32)
    left, right = np.zeros((2, *SHAPE), np.float32)
    left[femur_row : femur_row + 12, 66:76] = 0.9
    right[50:62, 22:32] = 0.8
    ingest = Manifest("ingest", patient, folder / "ingest" / patient / "manifest.json")
    path = ingest.path.parent / "xrays" / "x1.nii.gz"
    write_radiograph(path, Radiograph(xray, (3.0, 3.0)))
    ingest.add_file("xray_x1", path)
    ingest.facts["xrays"] = {"x1": {"pose": "standing"}}
    registration = Manifest("registration", patient, folder / "registration" / f"{patient}.json")
    projection = Manifest("projection", patient, folder / "projection" / patient / "projection.json")
    projection.path.parent.mkdir(parents=True)
    if registered:
        found = {name: np.eye(4).tolist() for name in ("pelvis", "left_femur", "right_femur")}
        registration.facts["xrays"] = {"x1": {"camera_from_world": found}}
        maps = projection.path.parent / "x1.npz"
        write_arrays(maps, {"bone": left + right + 0.1, "proximal_femur_left": left, "proximal_femur_right": right})
        projection.add_file("x1", maps)
    else:
        registration.findings.append(Finding("REG-DISAGREE", "12 mm apart", "x1"))
    for manifest in (ingest, registration, projection):
        manifest.write()
    return {"ingest": ingest.path, "registration": registration.path, "projection": projection.path}


def split(monkeypatch: pytest.MonkeyPatch, folder: Path, target_side: str = "both", **options: object) -> Manifest:
    manifests = write_patient(folder, **options)
    output = folder / "laterality" / f"{options.get('patient', 'P1')}.json"
    run(monkeypatch, "split_halves", **manifests, target_side=target_side, config="{}", output=output)
    return read_manifest(output)


def test_every_map_lies_on_its_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = split(monkeypatch, tmp_path)
    arrays = read_arrays(manifest.file("halves"))
    assert arrays["x1_left_proximal_femur"].max() == pytest.approx(0.9)
    assert arrays["x1_right_proximal_femur"].max() == pytest.approx(0.8)
    assert {h["midline_from"] for h in manifest.facts["halves"]} == {"hips"}
    assert manifest.facts["halves"][0]["midline_column"] == pytest.approx((70.5 + 26.5) / 2)
    assert not manifest.findings


def test_only_the_target_side_has_a_femur_map_but_both_have_bone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = split(monkeypatch, tmp_path, target_side="right").facts["halves"]
    assert {h["side"]: (h["has_bone"], h["has_proximal_femur"]) for h in halves} == {
        "left": (True, False),
        "right": (True, True),
    }
    assert {h["midline_from"] for h in halves} == {"hips"}


def test_an_unregistered_xray_is_split_at_the_image_centre_without_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = split(monkeypatch, tmp_path, registered=False)
    assert [(h["has_bone"], h["has_proximal_femur"]) for h in manifest.facts["halves"]] == [(False, False)] * 2
    assert {h["midline_from"] for h in manifest.facts["halves"]} == {"image centre"}
    assert sorted(read_arrays(manifest.file("halves"))) == ["x1_left_xray", "x1_right_xray"]


def test_a_femur_at_the_border_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = split(monkeypatch, tmp_path, femur_row=100)
    assert [(f.code, f.side) for f in manifest.findings] == [("LAT-FIELD", "left")]
    assert manifest.withholds("x1", "left")
    left = next(h for h in manifest.facts["halves"] if h["side"] == "left")
    assert left["has_bone"]
    assert not left["has_proximal_femur"]


def test_a_withheld_patient_has_no_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = write_patient(tmp_path)
    ingest = read_manifest(manifests["ingest"])
    ingest.findings.append(Finding("ING-EMPTY", "no CT"))
    ingest.write()
    run(monkeypatch, "split_halves", **manifests, target_side="both", config="{}", output=tmp_path / "P1.json")
    assert read_manifest(tmp_path / "P1.json").blocked_by == "ingest"


def test_the_release_has_one_row_per_half_and_areal_density_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = split(monkeypatch, tmp_path, patient="P1")
    second = split(monkeypatch, tmp_path, patient="P2", registered=False)
    index = tmp_path / "all" / "64" / "index.tsv"
    run(monkeypatch, "assemble_release", halves=[first.path, second.path], size=64, output=index)
    rows = read_index(index)
    assert [(r["patient_id"], r["side"], r["has_bone"]) for r in rows] == [
        ("P1", "left", "1"),
        ("P1", "right", "1"),
        ("P2", "left", "0"),
        ("P2", "right", "0"),
    ]
    maps = read_rows(index, "proximal_femur", [0, 1])
    assert maps.shape == (2, 64, 32)
    assert maps.dtype == np.float32
    # Intensive: the plateau keeps its value at any size.
    np.testing.assert_allclose(maps.max(axis=(1, 2)), [0.9, 0.8], rtol=1e-5)
    assert np.isnan(read_rows(index, "bone", [2, 3])).all()
    assert np.isfinite(read_rows(index, "xray", [0, 1, 2, 3])).all()


@pytest.mark.parametrize("findings", [[], [Finding("REG-WEAK", "no better than chance", "x1", "left")]])
def test_a_side_without_registered_femur_has_no_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, findings: list[Finding]
) -> None:
    """Its bone map would lack the femur; where segmentation withheld the side, registration has no finding."""
    manifests = write_patient(tmp_path)
    registration = read_manifest(manifests["registration"])
    registration.findings += findings
    del registration.facts["xrays"]["x1"]["camera_from_world"]["left_femur"]
    registration.write()
    run(monkeypatch, "split_halves", **manifests, target_side="both", config="{}", output=tmp_path / "P1.json")
    halves = read_manifest(tmp_path / "P1.json").facts["halves"]
    assert {h["side"]: (h["has_bone"], h["has_proximal_femur"]) for h in halves} == {
        "left": (False, False),
        "right": (True, True),
    }
