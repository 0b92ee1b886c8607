"""The pose of pelvis and femurs in every X-ray."""


rule register_xrays:
    message:
        "Register the CT of {wildcards.patient} to its X-rays"
    input:
        ingest=MANIFEST["ingest"],
        calibration=MANIFEST["calibration"],
        segmentation=MANIFEST["segmentation"],
    output:
        manifest=MANIFEST["registration"],
    log:
        f"{RESULTS}/logs/register_xrays/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/register_xrays/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        gpu=registration_gpus,
    params:
        config=section("registration"),
        code=code("register_xrays"),
    conda:
        # The GPU's kernels need torch and Triton.
        "../../envs/learning.yaml" if CONFIG.registration.device == "cuda" else "../../envs/imaging.yaml"
    group:
        # A job of its own where it needs a GPU, which the other rules of the group would hold idle.
        None if CONFIG.registration.device == "cuda" else "measure"
    shell:
        'python "$SCRIPTS/register_xrays.py" --ingest {input.ingest:q} --calibration {input.calibration:q}'
        " --segmentation {input.segmentation:q} --config {params.config:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"
