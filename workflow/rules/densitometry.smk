"""Bone mineral density: of the QCT as the reference, and of the predicted maps."""


rule measure_qct:
    message:
        "Measure the QCT densities of the hips of {wildcards.patient}"
    input:
        calibration=MANIFEST["calibration"],
        segmentation=MANIFEST["segmentation"],
    output:
        manifest=MANIFEST["densitometry"],
    log:
        f"{RESULTS}/logs/measure_qct/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_qct/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        config=section("qct"),
        code=code("measure_qct"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/measure_qct.py" --calibration {input.calibration:q} --segmentation {input.segmentation:q}'
        " --config {params.config:q} --output {output.manifest:q} > {log:q} 2>&1"


rule gather_qct:
    message:
        "Gather the QCT densities of every patient"
    input:
        manifests=manifests("densitometry", PATIENTS),
    output:
        table=f"{RESULTS}/densitometry/qct.tsv",
        regions=f"{RESULTS}/densitometry/regions.tsv",
    log:
        f"{RESULTS}/logs/gather_qct.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_qct.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        code=code("gather_qct"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/gather_qct.py" --manifests {input.manifests:q} --output {output.table:q}'
        " --regions {output.regions:q} > {log:q} 2>&1"


rule read_bmd:
    message:
        "Read BMD off the maps predicted by {wildcards.task} with {wildcards.backbone} at {wildcards.size}"
    input:
        folds=f"{RESULTS}/folds/{{release}}.tsv",
        qct=f"{RESULTS}/densitometry/qct.tsv",
        halves=halves_of(PATIENTS),
        predictions=[
            f"{RESULTS}/synthesis/{{release}}/{{task}}/{{backbone}}/{{size}}/predictions/fold{k}.tsv" for k in FOLDS
        ],
        later=enrolled_later(f"{RESULTS}/synthesis/{{release}}/{{task}}/{{backbone}}/{{size}}/predictions/enrolled.tsv"),
    output:
        table=f"{RESULTS}/densitometry/{{release}}/{{task}}/{{backbone}}/{{size}}/bmd.tsv",
    log:
        f"{RESULTS}/logs/read_bmd/{{release}}/{{task}}/{{backbone}}/{{size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/read_bmd/{{release}}/{{task}}/{{backbone}}/{{size}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        patients=people("dxa_bmd_g_cm2", "target_side"),
        config=section("densitometry"),
        code=code("read_bmd"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/read_bmd.py" --predictions {input.predictions:q} {input.later:q}'
        " --folds {input.folds:q} --halves {input.halves:q} --qct {input.qct:q} --patients {params.patients:q}"
        " --config {params.config:q} --output {output.table:q} > {log:q} 2>&1"
