"""Patient-wise folds that never move when patients are added."""


rule assign_folds:
    message:
        "Assign the patients of release {wildcards.release} to folds"
    output:
        folds=f"{RESULTS}/folds/{{release}}.tsv",
    log:
        f"{RESULTS}/logs/assign_folds/{{release}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/assign_folds/{{release}}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        patients=json.dumps(RELEASE_ROWS),
        config=section("folds"),
        code=code("assign_folds"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/assign_folds.py" --patients {params.patients:q} --config {params.config:q}'
        " --output {output.folds:q} > {log:q} 2>&1"
