"""From raw DICOM to the clinic folder on four coarse virtual patients, and what runs again afterwards."""

import copy
import csv
import json

import pytest
from tests.workflow.miniature import CONFIG, Repository

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    repository = Repository.copied_to(tmp_path_factory.mktemp("miniature") / "osteoray")
    configfile = repository.configure("miniature.yaml", CONFIG)
    output = repository.snakemake(configfile=configfile)
    return repository, configfile, output


@pytest.fixture
def results(finished):
    return finished[0].folder / "results"


def test_the_run_ends_with_what_to_open(finished, results):
    assert "osteoray: done. Open:" in finished[2]
    for path in ("report/index.html", "clinic/index.html"):
        assert str(results / path) in finished[2]
        assert (results / path).stat().st_size > 2000


def test_every_stage_left_its_files(results):
    for patient in ("V001", "V002", "V003", "V004"):
        for path in (
            f"ingest/{patient}/ct.nii.gz",
            f"ingest/{patient}/ct.json",
            f"ingest/{patient}/xrays/X1.nii.gz",
            f"ingest/{patient}/xrays/X1.json",
            f"calibration/{patient}/qct.nii.gz",
            f"calibration/{patient}/calibration.json",
            f"segmentation/{patient}/bones.nii.gz",
            f"segmentation/{patient}/femur.json",
            f"segmentation/{patient}/segmentation.png",
            f"registration/{patient}.json",
            f"densitometry/{patient}.json",
            f"laterality/{patient}.npz",
        ):
            assert (results / path).is_file(), path


def test_every_half_xray_has_a_row_and_held_out_patients_have_a_fold(results):
    table = rows(results / "densitometry/r1/mp_bd/resnet10t/128/bmd.tsv")
    assert {row["patient_id"] for row in table} == {"V001", "V002", "V003", "V004"}
    assert all(row["fold"] for row in table if row["patient_id"] != "V004")
    assert not any(row["fold"] for row in table if row["patient_id"] == "V004")


def test_every_labelled_patient_is_validated_by_a_network_that_has_not_seen_it(results):
    table = rows(results / "segmentation/validation.tsv")
    for fold, held_out in (("0", "V001"), ("1", "V002")):
        of_fold = [row for row in table if row["fold"] == fold]
        assert {row["patient_id"] for row in of_fold} == {held_out}
        assert all(0 <= float(row["dice"]) <= 1 and not row["code"] for row in of_fold)
        model = json.loads((results / f"segmentation/validation/fold{fold}/model.json").read_text())
        assert model["facts"]["patients"] == [{"V001": "V002", "V002": "V001"}[held_out]]
    summary = {row["bone"]: row for row in rows(results / "segmentation/validation_summary.tsv")}
    assert int(summary["all"]["n"]) == len(table)


def test_calibration_finds_the_scanner_of_the_truth(results):
    for patient in ("V001", "V002", "V003", "V004"):
        found = json.loads((results / f"calibration/{patient}/calibration.json").read_text())["facts"]
        true = json.loads((results / f"virtual/truth/{patient}/manifest.json").read_text())["facts"]["ct"]
        assert found["slope_mg_cm3_per_hu"] == pytest.approx(true["slope_mg_cm3_per_hu"], rel=0.02)


def test_registration_hits_the_truth(results):
    scores = {row["quantity"]: row["value"] for row in rows(results / "statistics/truth.tsv")}
    assert float(scores["pelvis projected error"]) < 0.6
    assert float(scores["femur projected error"]) < 1.2


def test_no_temporary_file_is_left(results):
    assert list(results.rglob("*.partial*")) == []


def test_a_finished_cohort_has_nothing_to_do(finished):
    repository, configfile, _ = finished
    assert repository.planned(configfile) == {}


@pytest.mark.parametrize(
    ("path", "old", "new", "rules"),
    [
        ("src/osteoray/clinic/assembly.py", '"""', '"""Edited. ', set()),
        ("scripts/build_clinic.py", "def main() -> None:\n", "def main() -> None:\n    # Edited.\n", set()),
        ("scripts/build_clinic.py", "def main() -> None:\n", "def main() -> None:\n    print()\n", {"build_clinic"}),
        (
            "scripts/compute_statistics.py",
            "def main() -> None:\n",
            "def main() -> None:\n    print()\n",
            {"compute_statistics", "build_report", "build_clinic"},
        ),
    ],
)
def test_an_edit_reruns_exactly_the_stages_that_use_it(finished, path, old, new, rules):
    repository, configfile, _ = finished
    original = (repository.folder / path).read_text()
    repository.edit(path, old, new)
    try:
        assert set(repository.planned(configfile)) - {"all"} == rules
    finally:
        (repository.folder / path).write_text(original)


def planned_after_edit(repository, configfile, name):
    path = repository.folder / name
    original = path.read_text()
    path.write_text(original + "\n_EDITED = 1\n")
    try:
        return repository.planned(configfile)
    finally:
        path.write_text(original)


def test_an_edit_below_src_reruns_the_stage_and_what_follows_but_not_what_came_before(finished):
    repository, configfile, _ = finished
    planned = planned_after_edit(repository, configfile, "src/osteoray/densitometry/qct.py")
    assert planned["measure_qct"] == 4
    earlier = {"ingest_patient", "segment_bones", "register_xrays", "train_synthesis", "pretrain_encoder"}
    assert not earlier & set(planned)


def test_an_edit_of_the_picture_draws_anew_and_segments_nothing(finished):
    repository, configfile, _ = finished
    planned = planned_after_edit(repository, configfile, "src/osteoray/report/body_planes.py")
    assert planned["picture_segmentation"] == 4
    assert set(planned) - {"all"} == {"picture_segmentation", "build_report"}


def test_a_section_of_the_configuration_concerns_its_own_stage(finished):
    repository, _, _ = finished
    content = copy.deepcopy(CONFIG) | {"clinic": {"site": "Another hospital"}}
    assert set(repository.planned(repository.configure("site.yaml", content))) - {"all"} == {"build_clinic"}


def test_enrolling_a_patient_after_the_release_trains_nothing(finished):
    repository, _, _ = finished
    content = copy.deepcopy(CONFIG)
    content["cohort"]["virtual"]["patients"] = 5
    planned = repository.planned(repository.configure("grown.yaml", content))
    per_patient = ("simulate_patient", "ingest_patient", "calibrate_ct", "segment_bones", "register_xrays")
    per_patient += ("picture_segmentation",)
    assert all(planned[rule] == 1 for rule in per_patient)
    assert planned["predict_enrolled"] == 2
    trainings = {
        "train_segmentation",
        "train_segmentation_fold",
        "validate_segmentation",
        "pretrain_encoder",
        "train_synthesis",
        "assign_folds",
        "predict_maps",
    }
    assert not trainings & set(planned)


def test_a_new_release_trains_into_its_own_folder(finished):
    repository, _, _ = finished
    content = copy.deepcopy(CONFIG)
    content["folds"]["release"] = {"name": "r2", "patients": 4}
    planned = repository.planned(repository.configure("r2.yaml", content))
    assert planned["train_synthesis"] == 4
    assert "register_xrays" not in planned
    assert (repository.folder / "results/synthesis/r1").is_dir()
