"""One patient end to end: raw files as from a hospital, truth beside them, and nothing depends on the others."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scripts import simulate_patient, write_cohort_tables

from osteoray.config.cohort import read_cohort
from osteoray.config.simulation import CtScannerConfig, SimulationConfig, XraySystemConfig
from osteoray.geometry.affines import apply_affine
from osteoray.store.arrays import read_arrays
from osteoray.store.manifest import read_json, read_manifest
from osteoray.store.nifti import read_volume

COARSE = SimulationConfig(
    patients=3,
    labelled=2,
    anatomy_spacing_mm=4.0,
    ct=CtScannerConfig(matrix=96, pixel_mm=4.8, slice_mm=5.0),
    xray=XraySystemConfig(rows=120, columns=144, pitch_mm=3.0, soft_tissue_mm=8.0),
)


def simulate(folder, monkeypatch, config: SimulationConfig, patient: str = "V002"):
    output = folder / "truth" / patient / "manifest.json"
    raw = folder / "raw" / patient
    arguments = ["--patient", patient, "--config", config.model_dump_json(), "--raw", str(raw), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["simulate_patient.py", *arguments])
    simulate_patient.main()
    return output


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield simulate(tmp_path_factory.mktemp("cohort"), monkeypatch, COARSE)


def test_raw_files_and_truth_are_there(simulated):
    raw = simulated.parents[2] / "raw" / "V002"
    manifest = read_manifest(simulated)
    assert manifest.verdict == "reported"
    assert len(list((raw / "CT").glob("*.dcm"))) == manifest.facts["ct"]["grid"]["shape"][0]
    assert sorted(p.name for p in (raw / "XR").iterdir()) == ["X1.dcm", "X2.dcm"]
    assert (raw / "bone_labels.nii.gz").exists()
    assert set(manifest.files) == {"bones", "proximal_femur", "ha", "qct_ideal", "X1", "X2"}


def test_truth_is_of_one_piece(simulated):
    manifest = read_manifest(simulated)
    bones = read_volume(manifest.file("bones"))
    for side, label in (("left", 3), ("right", 4)):
        head = np.array(manifest.facts["femur"][side]["head_centre_mm"])
        k, j, i = np.rint(apply_affine(bones.grid.index_from_world, head)).astype(int)
        assert bones.array[k, j, i] == label
        density = manifest.facts["density"][side]
        assert 0.2 < density["abmd_g_cm2_qct"] < density["abmd_g_cm2"] < 1.5
        assert 25 < density["area_cm2"] < 60
        maps = read_arrays(manifest.file("X1"))
        proximal = maps[f"proximal_femur_{side}"]
        assert proximal[proximal > 0.05].mean() == pytest.approx(density["abmd_g_cm2"], rel=0.25)
        # Image right is patient left.
        assert (np.average(np.arange(144), weights=proximal.sum(axis=0)) > 72) == (side == "left")


def test_a_larger_cohort_gives_the_same_patient(simulated, tmp_path, monkeypatch):
    larger = COARSE.model_copy(update={"patients": 40})
    again = simulate(tmp_path, monkeypatch, larger)
    assert read_json(again) == read_json(simulated)


def test_the_tables_are_those_of_the_cohort(tmp_path, monkeypatch):
    paths = [tmp_path / "patients.tsv", tmp_path / "xrays.tsv"]
    arguments = ["--config", COARSE.model_dump_json(), "--patients", str(paths[0]), "--xrays", str(paths[1])]
    monkeypatch.setattr(sys, "argv", ["write_cohort_tables.py", *arguments])
    write_cohort_tables.main()
    cohort = read_cohort(*paths)
    assert tuple(p for p, _ in cohort.enrolled) == ("V001", "V002", "V003") and not cohort.problems
    assert [bool(p.bone_labels) for p in cohort.patients] == [True, True, False]
    assert cohort["V003"].xrays[0].path == "V003/XR/X1.dcm"


@pytest.mark.slow
def test_label_maps_make_patients_too(shared_data, tmp_path, monkeypatch):
    traced = COARSE.model_copy(update={"anatomy": "labelmaps", "labelmaps": str(shared_data / "anatomy")})
    manifest = read_manifest(simulate(tmp_path, monkeypatch, traced, "V001"))
    assert manifest.verdict == "reported"
    assert 0.2 < manifest.facts["density"]["left"]["abmd_g_cm2"] < 1.5


def test_an_empty_folder_of_label_maps_withholds_the_patient(tmp_path, monkeypatch):
    empty = COARSE.model_copy(update={"anatomy": "labelmaps", "labelmaps": str(tmp_path)})
    manifest = read_manifest(simulate(tmp_path, monkeypatch, empty, "V001"))
    assert manifest.is_withheld and manifest.findings[0].code == "TAB-PATH"
