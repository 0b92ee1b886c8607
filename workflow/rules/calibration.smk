"""Hounsfield units become hydroxyapatite density by the phantom in the scan."""


rule calibrate_ct:
    message:
        "Calibrate the CT of {wildcards.patient}"
    input:
        ingest=MANIFEST["ingest"],
        phantom=RESOURCES / "phantoms" / f"{CONFIG.calibration.phantom}.yaml",
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
        'python "$SCRIPTS/calibrate_ct.py" --ingest {input.ingest:q} --phantom {input.phantom:q}'
        " --config {params.config:q} --output {output.manifest:q} > {log:q} 2>&1"
