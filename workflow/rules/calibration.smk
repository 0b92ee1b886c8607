"""Hounsfield units become hydroxyapatite density by the phantom in the scan, or by what may stand in for it."""

PHANTOMS = RESOURCES / "phantoms"


rule calibrate_ct:
    message:
        "Calibrate the CT of {wildcards.patient}"
    input:
        ingest=MANIFEST["ingest"],
        phantoms=(
            sorted(PHANTOMS.glob("*.yaml"))
            if CONFIG.calibration.phantom == "auto"
            else [PHANTOMS / f"{CONFIG.calibration.phantom}.yaml"]
        ),
        reference=CONFIG.calibration.reference or [],
    output:
        manifest=MANIFEST["calibration"],
    log:
        f"{RESULTS}/logs/calibrate_ct/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibrate_ct/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        config=section("calibration"),
        code=code("calibrate_ct"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/calibrate_ct.py" --ingest {input.ingest:q} --phantom {input.phantoms:q}'
        " --reference {input.reference:q} --config {params.config:q} --output {output.manifest:q} > {log:q} 2>&1"


rule chart_scanners:
    message:
        "Chart the calibration lines of every CT scanner"
    input:
        calibrations=manifests("calibration", PATIENTS),
    output:
        table=f"{RESULTS}/calibration/scanners.tsv",
        picture=f"{RESULTS}/calibration/scanners.png",
    log:
        f"{RESULTS}/logs/chart_scanners.log",
    benchmark:
        f"{RESULTS}/benchmarks/chart_scanners.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        code=code("chart_scanners"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/chart_scanners.py" --calibrations {input.calibrations:q} --table {output.table:q}'
        " --picture {output.picture:q} > {log:q} 2>&1"
