"""Hounsfield units become hydroxyapatite density by the phantom in the scan, or by what may stand in for it."""

PHANTOMS = RESOURCES / "phantoms"


rule measure_water:
    message:
        "Measure what is left of beam hardening in cylinders of water"
    input:
        simulated=virtual_water(),
    output:
        table=f"{RESULTS}/calibration/water.tsv",
    log:
        f"{RESULTS}/logs/measure_water.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_water.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        folders=CONFIG.calibration.water,
        inventory=water_inventory,
        code=code("measure_water"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/measure_water.py" --raw "$RAW" --folders {params.folders:q} --output {output.table:q} > {log:q} 2>&1'


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
        water=rules.measure_water.output.table if CONFIG.calibration.water else [],
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
        " --reference {input.reference:q} --water {input.water:q} --config {params.config:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


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
