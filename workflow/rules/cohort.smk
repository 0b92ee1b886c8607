"""Who takes part and what rules are told, from the configuration, the cohort tables and the code."""

import hashlib
import json
import os
import shlex
import sys
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent.parent
SOURCE = ROOT / "src"
SCRIPTS = ROOT / "scripts"
RESOURCES = ROOT / "resources"
sys.path.insert(0, str(SOURCE))

from osteoray.config.code_digest import code_digest
from osteoray.config.cohort import Cohort, CohortTableError, Patient, Xray, read_cohort
from osteoray.config.loading import ConfigError, load_config
from osteoray.config.segmentation import TRAINING_KEYS
from osteoray.errors.codes import REASONS

shell.executable("bash")
# Scripts find the package whether or not it is installed, and without --use-conda the Python that runs Snakemake.
os.environ |= {
    "PYTHONPATH": str(SOURCE),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.pathsep.join(os.get_exec_path())}",
}

# Freed memory is kept for the next array: glibc would hand every volume back to the kernel, which clears it again page
# by page when the next one is made. Segmenting 512 x 512 x 400 voxels took 39 s instead of 47 (docs/benchmarks.md).
for variable, value in {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}.items():
    os.environ.setdefault(variable, value)

try:
    CONFIG = load_config(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

if CONFIG.experiments.device == "cpu":
    if CONFIG.registration.device == "cuda":
        raise WorkflowError(
            "config: registration.device: expected cpu where experiments.device is cpu, which hides every GPU, got cuda."
            " Set experiments.device to cuda too."
        )
    os.environ |= {"CUDA_VISIBLE_DEVICES": ""}

RESULTS = CONFIG.results
VIRTUAL = f"{RESULTS}/virtual" if CONFIG.cohort.virtual else None
RAW = f"{VIRTUAL}/raw" if VIRTUAL else str(CONFIG.cohort.raw)
# Places are told by the environment, not by parameters: a moved folder makes nothing run again.
os.environ |= {"SCRIPTS": str(SCRIPTS), "RESULTS": RESULTS, "RAW": RAW}


def as_cohort(virtual_patients):
    """The virtual patients as the tables that a hospital would give."""
    patients = [
        Patient(
            patient_id=p.patient_id,
            sex=p.sex,
            age_years=p.age_years,
            height_cm=p.height_cm,
            weight_kg=p.weight_kg,
            ct=f"{p.patient_id}/CT",
            bone_labels=f"{p.patient_id}/bone_labels.nii.gz" if p.labelled else "",
            xrays=tuple(Xray(x.xray_id, x.pose, f"{p.patient_id}/XR/{x.xray_id}.dcm") for x in p.xrays),
        )
        for p in virtual_patients
    ]
    return Cohort(tuple(patients), tuple((p.patient_id, p.sex) for p in patients))


if VIRTUAL:
    from osteoray.simulation.enrolment import enrol

    COHORT = as_cohort(enrol(CONFIG.cohort.virtual))
else:
    try:
        COHORT = read_cohort(CONFIG.cohort.patients, CONFIG.cohort.xrays)
    except CohortTableError as error:
        raise WorkflowError(str(error)) from None

PATIENT = {patient.patient_id: patient for patient in COHORT.patients}
PATIENTS = list(PATIENT)
RELEASE = CONFIG.folds.release.name
RELEASE_ROWS = COHORT.enrolled[: CONFIG.folds.release.patients]
RELEASED = [patient_id for patient_id, _ in RELEASE_ROWS if patient_id in PATIENT]
ENROLLED_LATER = [p for p in PATIENTS if p not in RELEASED]
FOLDS = list(range(CONFIG.folds.count))
EXPERIMENTS = [
    f"{task}/{backbone}/{size}"
    for task in CONFIG.experiments.tasks
    for backbone in CONFIG.experiments.backbones
    for size in CONFIG.experiments.sizes
]
# Where the clinic section names no experiment, the last of each list is handed over.
HANDED_OVER = "/".join(
    str(getattr(CONFIG.clinic, name) or getattr(CONFIG.experiments, f"{name}s")[-1])
    for name in ("task", "backbone", "size")
)
MODELS = [f"{RESULTS}/synthesis/{RELEASE}/{e}/fold{k}/model.pt" for e in EXPERIMENTS for k in FOLDS]


wildcard_constraints:
    patient="[A-Za-z0-9_-]+",
    release="[A-Za-z0-9_.-]+",
    task="[a-z]+(_[a-z]+)*",
    backbone="[a-z0-9_]+",
    size="[0-9]+",
    fold="[0-9]+",


def code(script):
    """Digest of what a script means; an edit reruns exactly the stages that use it."""
    return lambda wildcards: code_digest(SCRIPTS / f"{script}.py", SOURCE)


def section(*names):
    """A rule's own section of the configuration as JSON."""

    def as_json(wildcards):
        part = CONFIG
        for name in names:
            part = getattr(part, name)
        return part.model_dump_json()

    return as_json


def field(name):
    """One field of the patient's row; nothing else of the row makes the rule run again."""
    return lambda wildcards: getattr(PATIENT[wildcards.patient], name)


def xrays(*names):
    """These fields of the patient's X-rays as JSON."""
    return lambda wildcards: json.dumps(
        [{name: getattr(xray, name) for name in names} for xray in PATIENT[wildcards.patient].xrays]
    )


def people(*names):
    """These fields of every patient's row as JSON, by patient."""
    return json.dumps({p: {name: getattr(patient, name) for name in names} for p, patient in PATIENT.items()})


def manifests(stage, patients):
    """The manifests of a stage, in enrolment order."""
    return [MANIFEST[stage].format(patient=patient) for patient in patients]


MANIFEST = {
    "ingest": f"{RESULTS}/ingest/{{patient}}/manifest.json",
    "calibration": f"{RESULTS}/calibration/{{patient}}/calibration.json",
    "segmentation": f"{RESULTS}/segmentation/{{patient}}/segmentation.json",
    "registration": f"{RESULTS}/registration/{{patient}}.json",
    "projection": f"{RESULTS}/projection/{{patient}}/projection.json",
    "densitometry": f"{RESULTS}/densitometry/{{patient}}.json",
    "laterality": f"{RESULTS}/laterality/{{patient}}.json",
}


def halves_of(patients):
    """The half X-rays of these patients."""
    return manifests("laterality", patients)


def pictures_of(patients):
    """The pictures of these patients' segmentations."""
    return [f"{RESULTS}/segmentation/{patient}/segmentation.png" for patient in patients]


def gpus(wildcards):
    """GPUs of a training: none where the configuration asks for the processor."""
    return 0 if CONFIG.experiments.device == "cpu" else 1


def registration_gpus(wildcards):
    """GPUs of a registration: none where the configuration asks for the processor."""
    return 0 if CONFIG.registration.device == "cpu" else 1


def training_threads(wildcards):
    """One thread per training on the processor, so that trainings run side by side."""
    return 1 if CONFIG.experiments.device == "cpu" else 4


def announcement():
    """What the run is about to do, and the rows that it cannot use."""
    yield f"osteoray: {len(PATIENTS)} patients, release {RELEASE!r} of {len(RELEASED)}, results in {RESULTS}/"
    for problem in COHORT.problems:
        yield f"  not used: {problem.patient_id} {problem.xray_id}: {problem.code}: {problem}"


def outcome():
    """Where to look when the run is done."""
    yield "osteoray: done. Open:"
    for path in (
        "report/index.html",
        "clinic/index.html",
        "statistics/agreement.tsv",
        "statistics/exclusions.tsv",
    ):
        if Path(RESULTS, path).exists():
            yield f"  {Path(RESULTS, path).resolve()}"
