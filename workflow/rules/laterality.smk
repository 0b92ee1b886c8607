"""Half X-rays with their maps, all oriented alike; and a release's training arrays."""


rule split_halves:
    message:
        "Split the X-rays of {wildcards.patient} into left and right"
    input:
        ingest=MANIFEST["ingest"],
        registration=MANIFEST["registration"],
        projection=MANIFEST["projection"],
    output:
        manifest=MANIFEST["laterality"],
    log:
        f"{RESULTS}/logs/split_halves/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/split_halves/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        target_side=field("target_side"),
        config=section("laterality"),
        code=code("split_halves"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/split_halves.py" --ingest {input.ingest:q} --registration {input.registration:q}'
        " --projection {input.projection:q} --target-side {params.target_side} --config {params.config:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"


rule assemble_release:
    message:
        "Assemble the training arrays of release {wildcards.release} at height {wildcards.size}"
    input:
        halves=halves_of(RELEASED),
    output:
        index=f"{RESULTS}/laterality/{{release}}/{{size}}/index.tsv",
    log:
        f"{RESULTS}/logs/assemble_release/{{release}}/{{size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/assemble_release/{{release}}/{{size}}.tsv"
    threads: 1
    resources:
        mem_mb=8000,
    params:
        code=code("assemble_release"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/assemble_release.py" --halves {input.halves:q} --size {wildcards.size}'
        " --output {output.index:q} > {log:q} 2>&1"
