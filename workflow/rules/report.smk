"""Figures of the cohort and one self-contained HTML page."""

STATISTICS = [
    "agreement",
    "precision",
    "image_quality",
    "significance",
    "exclusions",
    "stages",
]
LOGS = [path.replace("model.pt", "log.tsv") for path in MODELS]


rule build_report:
    message:
        "Draw the report of the cohort"
    input:
        bmd=BMD,
        statistics=[f"{RESULTS}/statistics/{name}.tsv" for name in STATISTICS + (["truth"] if VIRTUAL else [])],
        validation=rules.gather_validation.output,
        segmentations=manifests("segmentation", RELEASED),
        pictures=pictures_of(RELEASED),
        registrations=manifests("registration", RELEASED),
        predictions=[
            f"{RESULTS}/synthesis/{RELEASE}/{experiment}/predictions/fold{k}.tsv"
            for experiment in EXPERIMENTS
            for k in FOLDS
        ],
        releases=[f"{RESULTS}/laterality/{RELEASE}/{size}/index.tsv" for size in CONFIG.experiments.sizes],
        models=MODELS,
        template=SOURCE / "osteoray" / "report" / "templates" / "report.html",
    output:
        html=f"{RESULTS}/report/index.html",
    log:
        f"{RESULTS}/logs/build_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_report.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        logs=LOGS,
        max_doubt=CONFIG.segmentation.max_doubt,
        patients=people("sex", "age_years", "height_cm", "weight_kg"),
        config=section("report"),
        code=code("build_report"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/build_report.py" --bmd {input.bmd:q} --statistics {input.statistics:q}'
        " --validation {input.validation:q} --segmentations {input.segmentations:q} --pictures {input.pictures:q}"
        " --registrations {input.registrations:q} --max-doubt {params.max_doubt}"
        " --predictions {input.predictions:q} --releases {input.releases:q} --logs {params.logs:q}"
        " --patients {params.patients:q} --config {params.config:q} --output {output.html:q} > {log:q} 2>&1"
