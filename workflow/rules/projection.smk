"""Areal density maps of the bones at the registered poses."""


rule project_density:
    message:
        "Project the bone density of {wildcards.patient} onto its X-rays"
    input:
        calibration=MANIFEST["calibration"],
        segmentation=MANIFEST["segmentation"],
        registration=MANIFEST["registration"],
    output:
        manifest=MANIFEST["projection"],
    log:
        f"{RESULTS}/logs/project_density/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/project_density/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        config=section("projection"),
        code=code("project_density"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/project_density.py" --calibration {input.calibration:q}'
        " --segmentation {input.segmentation:q} --registration {input.registration:q} --config {params.config:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"
