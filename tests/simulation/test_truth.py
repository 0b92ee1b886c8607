"""The truth says what its table says, agrees with itself, and loses little when it is kept compact."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from scripts import score_against_truth, simulate_patient, write_cohort_tables
from tests.paths import ROOT

from osteoray.config.cohort import read_cohort
from osteoray.config.simulation import CtScannerConfig, SimulationConfig, XraySystemConfig
from osteoray.geometry.grids import VoxelGrid
from osteoray.imaging.bones import PROXIMAL_FEMUR, Side
from osteoray.simulation.defects import EXPECTED
from osteoray.simulation.parts import Part
from osteoray.simulation.truth import mineral_split
from osteoray.simulation.truth_maps import QUANTUM_G_CM2, compact_maps, shadow, whole_maps
from osteoray.simulation.truth_schema import (
    FACTS,
    MAPS,
    TRUTH_VERSION,
    VOLUMES,
    Quantity,
    as_markdown,
    paths_of,
    problems_of,
)
from osteoray.store.arrays import read_arrays, write_arrays
from osteoray.store.manifest import read_manifest
from osteoray.store.nifti import read_volume
from osteoray.store.tables import write_table

COARSE = SimulationConfig(
    patients=1,
    labelled=0,
    xrays_per_patient=2,
    anatomy_spacing_mm=4.0,
    ct=CtScannerConfig(matrix=96, pixel_mm=4.8, slice_mm=5.0),
    xray=XraySystemConfig(rows=120, columns=144, pitch_mm=3.0, soft_tissue_mm=8.0),
)


def simulate(folder, config):
    output = folder / "truth" / "manifest.json"
    arguments = ["--patient", "V001", "--config", config.model_dump_json()]
    arguments += ["--raw", str(folder / "raw"), "--output", str(output)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "argv", ["simulate_patient.py", *arguments])
        simulate_patient.main()
    return read_manifest(output)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("full"), COARSE)


@pytest.fixture(scope="module")
def compact(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("compact"), COARSE.model_copy(update={"truth": "compact"}))


def test_every_fact_is_documented_and_every_documented_fact_is_there(full):
    assert full.facts["truth_version"] == TRUTH_VERSION
    assert problems_of(paths_of(full.facts), FACTS) == []


@pytest.mark.parametrize("defects", [("implant_ct", "contrast", "motion"), ("phantom_absent", "gantry_tilt")])
def test_a_patient_with_defects_has_documented_facts_only(defects, tmp_path):
    config = COARSE.model_copy(update={"defects": {"V001": defects}, "xrays_per_patient": 1})
    assert problems_of(paths_of(simulate(tmp_path, config).facts), FACTS) == []


def has_ct_density(truth):
    return {side: "abmd_g_cm2_ct" in truth.facts["density"][side] for side in Side}


def test_the_density_on_the_voxels_of_the_ct_is_near_that_of_the_body(full):
    for density in full.facts["density"].values():
        assert density["abmd_g_cm2_ct"] == pytest.approx(density["abmd_g_cm2_qct"], rel=0.2)


@pytest.mark.parametrize(
    ("defects", "sides_with_it"),
    [
        (("ct_cropped",), ()),
        (("motion",), ()),
        (("implant_ct",), (Side.RIGHT,)),
        (("implant_xray", "phantom_absent"), tuple(Side)),
    ],
)
def test_a_ct_that_does_not_show_the_region_as_it_is_gives_no_density(defects, sides_with_it, full, tmp_path):
    config = COARSE.model_copy(update={"defects": {"V001": defects}, "xrays_per_patient": 1})
    truth = simulate(tmp_path, config)
    assert has_ct_density(truth) == {side: side in sides_with_it for side in Side}
    # A cropped scan still holds a part of the region, whose density would be another quantity.
    regions = read_volume(truth.file("proximal_femur")).array
    assert set(np.unique(regions)) >= set(PROXIMAL_FEMUR.values())
    for side in Side:
        assert truth.facts["density"][side]["abmd_g_cm2"] == full.facts["density"][side]["abmd_g_cm2"]


def test_the_score_passes_over_what_is_absent(full, tmp_path, monkeypatch):
    table = tmp_path / "densitometry" / "qct.tsv"
    rows = [
        {"patient_id": name, "side": str(side), "abmd_g_cm2": 0.5 + 0.1 * n + 0.05 * (side == Side.LEFT)}
        for n, name in enumerate(("V001", "V002"))
        for side in Side
    ]
    table.parent.mkdir()
    write_table(table, rows, ("patient_id", "side", "abmd_g_cm2"))
    cropped = deepcopy(full.facts)
    del cropped["density"][Side.LEFT]["abmd_g_cm2_ct"]
    truths = {"V001": full, "V002": replace(full, facts=cropped)}
    found = score_against_truth.densities(truths, tmp_path, [])
    counts = {row["quantity"]: row["n"] for row in found}
    assert counts["MAE QCT aBMD against noise-free CT"] == 3
    assert counts["MAE QCT aBMD against true hydroxyapatite, edge lost"] == 4


def test_every_file_is_documented_and_every_documented_file_is_there(full, compact):
    for truth in (full, compact):
        names = {path.name for path in truth.path.parent.glob("*.nii.gz")}
        assert problems_of(names, VOLUMES) == []
        arrays = {f"{xray}.npz: {name}" for xray in truth.facts["xrays"] for name in read_arrays(truth.file(xray))}
        assert problems_of(arrays, MAPS) == []


def test_the_documentation_holds_the_table():
    assert as_markdown() in (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")


def test_a_renamed_fact_is_noticed():
    quantities = (Quantity("a.{side}.b", "mm", "", "length"), Quantity("c[].d", "", "", "list", is_optional=True))
    assert problems_of(paths_of({"a": {"left": {"b": [1.0, 2.0]}}, "c": [{"d": 1}, {"d": 2}]}), quantities) == []
    found = problems_of(paths_of({"a": {"left": {"e": 1.0}}}), quantities)
    assert found == ["a.left.e: expected a documented quantity", "a.{side}.b: expected in the truth, got none"]


def test_compact_truth_has_the_same_numbers_and_no_density_volumes(full, compact):
    assert compact.facts == full.facts
    assert set(full.files) - set(compact.files) == {"ha", "qct_ideal"}
    for xray in full.facts["xrays"]:
        whole, small = whole_maps(read_arrays(full.file(xray))), whole_maps(read_arrays(compact.file(xray)))
        assert whole.keys() == small.keys()
        for name in whole:
            assert np.abs(whole[name] - small[name]).max() <= 0.51 * QUANTUM_G_CM2
        assert compact.file(xray).stat().st_size < 0.6 * full.file(xray).stat().st_size


def test_maps_beyond_sixteen_bits_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"bone: expected at most 6\.55 g/cm², got 7\.00"):
        compact_maps({"bone": np.full((2, 2), 7.0, np.float32)})
    path = tmp_path / "maps.npz"
    write_arrays(path, compact_maps({"bone": np.array([[-0.2, 0.0, 6.5]], np.float32)}))
    assert whole_maps(read_arrays(path))["bone"] == pytest.approx(np.array([[-0.2, 0.0, 6.5]]), abs=QUANTUM_G_CM2 / 2)


def test_the_shadow_of_the_facts_is_the_threshold_of_the_map(full):
    for xray, facts in full.facts["xrays"].items():
        maps = whole_maps(read_arrays(full.file(xray)))
        for side in Side:
            true = maps[f"proximal_femur_{side}"]
            found = facts["proximal_femur"][side]
            assert found["pixels"] == shadow(true).sum()
            assert found["abmd_g_cm2"] == pytest.approx(float(true[shadow(true)].mean()), rel=1e-5)


def test_areal_density_times_area_is_the_mineral(full):
    for density in full.facts["density"].values():
        assert density["bmc_g"] == pytest.approx(density["abmd_g_cm2"] * density["area_cm2"])
        # Rays shorter than 1 mm in the label hold what is missing.
        assert density["bmc_g"] == pytest.approx(density["mineral_g"], rel=0.01)


def test_an_ideal_qct_reads_less_than_the_truth_where_marrow_is_fat(full):
    for side in Side:
        density = full.facts["density"][side]
        assert density["vbmd_mg_cm3_qct"] < density["vbmd_mg_cm3"]
        assert density["abmd_g_cm2_qct"] < density["abmd_g_cm2"]
        for xray in full.facts["xrays"].values():
            shown = xray["proximal_femur"][side]
            assert shown["abmd_g_cm2_qct"] < shown["abmd_g_cm2"]


def test_a_shell_and_its_filling_are_told_apart():
    density = np.zeros((12, 12, 12), np.float32)
    density[2:-2, 2:-2, 2:-2] = 900
    density[4:-4, 4:-4, 4:-4] = 150
    grid = VoxelGrid.axial(density.shape, (2.0, 2.0, 2.0))
    split = mineral_split(Part(np.stack([density, density, (density > 0).astype(np.float32)], axis=-1), grid))
    shell, filling = 8**3 - 4**3, 4**3
    mass_g = (shell * 900 + filling * 150) * 8e-6
    assert split["mineral_g"] == pytest.approx(mass_g)
    assert split["cortical_share"] == pytest.approx(shell * 900 * 8e-6 / mass_g)
    assert split["trabecular_vbmd_mg_cm3"] == pytest.approx(150)


@pytest.mark.parametrize("given", [True, False])
def test_the_cohort_table_has_the_dxa_of_patients_whose_truth_is_given(full, given, tmp_path, monkeypatch):
    tables = [tmp_path / "patients.tsv", tmp_path / "xrays.tsv"]
    arguments = ["--config", COARSE.model_copy(update={"patients": 2}).model_dump_json()]
    arguments += ["--patients", str(tables[0]), "--xrays", str(tables[1])]
    arguments += ["--manifests", str(full.path)] if given else []
    monkeypatch.setattr(sys, "argv", ["write_cohort_tables.py", *arguments])
    write_cohort_tables.main()
    first, second = read_cohort(*tables).patients
    both = [hip["total_hip_g_cm2"] for hip in full.facts["dxa"].values()]
    assert first.dxa_bmd_g_cm2 == (pytest.approx(np.mean(both), abs=6e-4) if given else None)
    assert second.dxa_bmd_g_cm2 is None


def test_the_documentation_lists_every_defect_with_its_codes():
    lines = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8").splitlines()
    for defect, expected in EXPECTED.items():
        row = next(line for line in lines if line.startswith(f"| `{defect}` |"))
        assert expected.what in row and expected.undetected in row
        assert all(f"`{code}`" in row for code in expected.codes)
