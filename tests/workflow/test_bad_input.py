"""One bad patient, X-ray or row costs that one alone; a table that cannot be understood stops the run at once."""

import csv
import json
import shutil

import numpy as np
import pydicom
import pytest
from tests.workflow.identifiers import MARK, leaks, plant
from tests.workflow.miniature import CONFIG, Repository

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PATIENT_COLUMNS = ("patient_id", "sex", "age", "height_cm", "weight_kg", "ct", "bone_labels")
GOOD = ("V001", "V002")
AIR_HU = -1000
TRUTH = "results/virtual/truth/V003/manifest.json"


def write_tables(folder, patients, xrays, patient_columns=PATIENT_COLUMNS):
    tables = {
        "patients": (patient_columns, patients),
        "xrays": (("patient_id", "xray_id", "pose", "path"), xrays),
    }
    for name, (columns, rows) in tables.items():
        with (folder / f"{name}.tsv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(columns)
            writer.writerows(rows)
    return {"raw": str(folder), "patients": str(folder / "patients.tsv"), "xrays": str(folder / "xrays.tsv")}


def without_phantom(source, target, truth):
    """The CT with air from the top of the phantom downwards; couch and phantom are gone."""
    target.mkdir(parents=True)
    rods = json.loads(truth.read_text())["facts"]["ct"]["rods"]
    top_mm = min(np.array(rod["centre_mm"])[..., 1].min() for rod in rods) - 25
    for path in source.iterdir():
        image = pydicom.dcmread(path)
        top = int((top_mm - float(image.ImagePositionPatient[1])) / float(image.PixelSpacing[0]))
        stored = image.pixel_array.copy()
        stored[top:] = round((AIR_HU - float(image.RescaleIntercept)) / float(image.RescaleSlope))
        image.PixelData = stored.astype(np.uint16 if image.PixelRepresentation == 0 else np.int16).tobytes()
        image.save_as(target / path.name)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    repository = Repository.copied_to(tmp_path_factory.mktemp("bad") / "osteoray")
    configfile = repository.configure("virtual.yaml", CONFIG)
    targets = [f"results/virtual/truth/{patient}/manifest.json" for patient in ("V001", "V002", "V003")]
    repository.snakemake(*targets, configfile=configfile)
    raw = repository.folder / "raw"
    shutil.copytree(repository.folder / "results/virtual/raw", raw)
    return repository, raw


@pytest.fixture(scope="module")
def outcome(hospital):
    repository, raw = hospital
    for number, path in enumerate(sorted(raw.rglob("*.dcm"))):
        plant(path, number)
    (raw / f"{MARK}EMPTY" / "CT").mkdir(parents=True)
    torn = raw / "TORN" / f"{MARK}^ANNA"
    shutil.copytree(raw / "V002" / "CT", torn)
    some = sorted(torn.iterdir())[0]
    (torn / f"{MARK}.dcm").write_bytes(some.read_bytes()[:2000])
    without_phantom(raw / "V003" / "CT", raw / "BARE" / "CT", repository.folder / TRUTH)
    broken = (raw / "V001" / "XR" / "X1.dcm").read_bytes()
    (raw / "V001" / "XR" / f"{MARK}.dcm").write_bytes(broken[: len(broken) // 3])
    common = ("F", 70, 155, 55)
    patients = [(p, *common, f"{p}/CT", f"{p}/bone_labels.nii.gz") for p in GOOD]
    patients += [("EMPTY", *common, f"{MARK}EMPTY/CT", ""), ("BARE", *common, "BARE/CT", "")]
    patients += [
        ("GONE", *common, f"{MARK}GONE/CT", f"{MARK}.nii.gz"),
        ("TWICE", *common, "V001/CT", ""),
        ("TWICE", *common, "V002/CT", ""),
    ]
    patients += [("TORN", *common, f"TORN/{MARK}^ANNA", "")]
    xrays = [(p, "X1", "supine", f"{p}/XR/X1.dcm") for p in GOOD]
    xrays += [("V001", "X2", "rest", f"V001/XR/{MARK}.dcm"), ("V002", "X2", "sitting", "V002/XR/X1.dcm")]
    xrays += [(p, "X1", "supine", "V001/XR/X1.dcm") for p in ("EMPTY", "BARE", "GONE")]
    config = {k: v for k, v in CONFIG.items() if k not in ("cohort", "folds")}
    # Every patient that gets so far has labels, so that nothing hangs on what the network learns.
    config["segmentation"] = {"coarse_steps": 5, "fine_steps": 5, "batch": 2, "samples": 2}
    config |= {"results": "hospital", "cohort": write_tables(raw, patients, xrays)}
    output = repository.snakemake(configfile=repository.configure("hospital.yaml", config))
    with (repository.folder / "hospital/statistics/exclusions.tsv").open(newline="") as file:
        return repository.folder / "hospital", list(csv.DictReader(file, delimiter="\t")), output


def test_the_rest_of_the_cohort_completes(outcome):
    results, _, _ = outcome
    assert (results / "clinic/index.html").is_file()
    with (results / "densitometry/all/mp_bd/resnet10t/128/bmd.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    # An X-ray needs no CT to be read: the patient without phantom is predicted, but has no QCT beside it.
    assert {row["patient_id"] for row in rows} == {*GOOD, "BARE"}
    assert {row["patient_id"] for row in rows if row["qct_abmd_g_cm2"]} == set(GOOD)


@pytest.mark.parametrize(
    ("patient", "xray", "stage", "code"),
    [
        ("EMPTY", "", "ingest", "ING-EMPTY"),
        ("TORN", "", "ingest", "ING-DICOM"),
        ("BARE", "", "calibration", "CAL-PHANTOM"),
        ("GONE", "", "ingest", "TAB-PATH"),
        ("TWICE", "", "cohort", "TAB-DUPLICATE"),
        ("V001", "X2", "ingest", "ING-XRAY"),
        ("V002", "X2", "cohort", "TAB-XRAY"),
    ],
)
def test_the_table_of_exclusions_names_patient_stage_code_and_fix(outcome, patient, xray, stage, code):
    _, exclusions, _ = outcome
    found = [row for row in exclusions if (row["patient_id"], row["xray_id"], row["code"]) == (patient, xray, code)]
    assert found, [row for row in exclusions if row["patient_id"] == patient]
    assert found[0]["stage"] == stage
    assert found[0]["fix"].endswith(".")
    assert "\n" not in found[0]["detail"]


def test_rows_that_are_not_used_are_told_when_the_run_starts(outcome):
    _, _, output = outcome
    assert "not used: V002 X2: TAB-XRAY" in output
    assert "pose: expected one of standing, supine, rest, abduction, adduction, unknown, got 'sitting'" in output


def test_nothing_under_results_carries_an_identifier(outcome, hospital):
    results, _, _ = outcome
    _, raw = hospital
    assert leaks(raw)
    assert leaks(results) == []


def test_a_table_without_a_column_stops_the_run_with_one_line(hospital):
    repository, raw = hospital
    folder = raw.parent / "broken-tables"
    folder.mkdir()
    cohort = write_tables(folder, [("V001", "F", 70, 155, 55, "V001/CT")], [], PATIENT_COLUMNS[:5])
    output = repository.snakemake("-n", configfile=repository.configure("broken.yaml", {"cohort": cohort}), check=False)
    assert "patients.tsv:1: expected a column 'ct', got patient_id, sex, age, height_cm, weight_kg" in output
    assert "Traceback" not in output


def test_a_misspelt_key_stops_the_run_and_names_the_nearest(hospital):
    repository, _ = hospital
    configfile = repository.configure("misspelt.yaml", {"folds": {"relase": {}}})
    output = repository.snakemake("-n", configfile=configfile, check=False)
    assert "config: folds.relase: unknown key; did you mean 'release'?" in output
    assert "Traceback" not in output
