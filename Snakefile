"""From raw hospital DICOM to a hip-BMD-from-X-ray model and a clinic folder."""

from snakemake.utils import min_version

min_version("9.25")


configfile: "config/config.yaml"


include: "workflow/rules/cohort.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/simulation.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/segmentation.smk"
include: "workflow/rules/registration.smk"
include: "workflow/rules/projection.smk"
include: "workflow/rules/densitometry.smk"
include: "workflow/rules/laterality.smk"
include: "workflow/rules/folds.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/synthesis.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/clinic.smk"


localrules:
    all,
    prepare,
    train,
    fetch_totalsegmentator,


rule all:
    message:
        "Report and clinic folder are ready"
    default_target: True
    input:
        report=f"{RESULTS}/report/index.html",
        clinic=f"{RESULTS}/clinic/index.html",
        scanners=f"{RESULTS}/calibration/scanners.png",
        segmentations=pictures_of(PATIENTS),
        tables=[f"{RAW}/patients.tsv"] if VIRTUAL else [],


rule prepare:
    message:
        "Every patient is calibrated, segmented, registered and projected"
    input:
        halves=halves_of(PATIENTS),
        segmentations=pictures_of(PATIENTS),
        qct=f"{RESULTS}/densitometry/qct.tsv",


rule train:
    message:
        "Every experiment of the release is trained"
    input:
        models=MODELS,


onstart:
    for line in announcement():
        logger.info(line)


onsuccess:
    for line in outcome():
        logger.info(line)
