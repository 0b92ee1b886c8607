"""Pelvis, femurs and sacrum in the CT, and the proximal-femur region by geometry."""

BACKEND = CONFIG.segmentation.backend
# Labels of patients enrolled after the release train nothing, and other backends than the network train nobody.
LABELLED = [p for p in RELEASED if PATIENT[p].bone_labels] if BACKEND == "network" else []
VALIDATION_FOLDS = min(CONFIG.segmentation.validation_folds, len(LABELLED))
# One fold would leave nobody to learn from.
HELD_OUT = [LABELLED[k::VALIDATION_FOLDS] for k in range(VALIDATION_FOLDS)] if VALIDATION_FOLDS > 1 else []


rule train_segmentation:
    message:
        "Train the segmentation network on {params.patients} labelled patients"
    input:
        ingest=manifests("ingest", LABELLED),
        labels=existing_labels(LABELLED),
    output:
        model=f"{RESULTS}/segmentation/model.json",
    log:
        f"{RESULTS}/logs/train_segmentation.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_segmentation.tsv"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=gpus,
    params:
        patients=len(LABELLED),
        labels=labels_of(LABELLED),
        config=training_section,
        code=code("train_segmentation"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/train_segmentation.py" --ingest {input.ingest:q} --labels {params.labels}'
        " --config {params.config:q} --output {output.model:q} > {log:q} 2>&1"


rule train_segmentation_fold:
    message:
        "Train the segmentation network of validation fold {wildcards.fold}"
    input:
        ingest=lambda wildcards: manifests("ingest", learned_from(wildcards)),
        labels=lambda wildcards: existing_labels(learned_from(wildcards)),
    output:
        model=f"{RESULTS}/segmentation/validation/fold{{fold}}/model.json",
    log:
        f"{RESULTS}/logs/train_segmentation_fold/{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_segmentation_fold/{{fold}}.tsv"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=gpus,
    params:
        labels=lambda wildcards: labels_of(learned_from(wildcards)),
        config=training_section,
        code=code("train_segmentation"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/train_segmentation.py" --ingest {input.ingest:q} --labels {params.labels}'
        " --config {params.config:q} --output {output.model:q} > {log:q} 2>&1"


rule validate_segmentation:
    message:
        "Segment the labelled patients that validation fold {wildcards.fold} has not seen"
    input:
        model=rules.train_segmentation_fold.output.model,
        ingest=lambda wildcards: manifests("ingest", HELD_OUT[int(wildcards.fold)]),
        labels=lambda wildcards: existing_labels(HELD_OUT[int(wildcards.fold)]),
    output:
        table=f"{RESULTS}/segmentation/validation/fold{{fold}}.tsv",
    log:
        f"{RESULTS}/logs/validate_segmentation/{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_segmentation/{{fold}}.tsv"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=gpus,
    params:
        labels=lambda wildcards: labels_of(HELD_OUT[int(wildcards.fold)]),
        config=section("segmentation"),
        code=code("validate_segmentation"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/validate_segmentation.py" --fold {wildcards.fold} --model {input.model:q}'
        " --ingest {input.ingest:q} --labels {params.labels}"
        " --config {params.config:q} --output {output.table:q} > {log:q} 2>&1"


rule gather_validation:
    message:
        "Gather the cross-validation of the segmentation network"
    input:
        folds=[f"{RESULTS}/segmentation/validation/fold{k}.tsv" for k in range(len(HELD_OUT))],
    output:
        table=f"{RESULTS}/segmentation/validation.tsv",
        summary=f"{RESULTS}/segmentation/validation_summary.tsv",
    log:
        f"{RESULTS}/logs/gather_validation.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_validation.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        code=code("gather_validation"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/gather_validation.py" --folds {input.folds:q} --table {output.table:q}'
        " --summary {output.summary:q} > {log:q} 2>&1"


rule fetch_totalsegmentator:
    message:
        "Check TotalSegmentator and fetch its weights"
    output:
        tool=f"{RESULTS}/segmentation/totalsegmentator.json",
    log:
        f"{RESULTS}/logs/fetch_totalsegmentator.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch_totalsegmentator.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        config=section("segmentation", "totalsegmentator"),
        code=code("fetch_totalsegmentator"),
    conda:
        "../../envs/totalsegmentator.yaml"
    shell:
        'python "$SCRIPTS/fetch_totalsegmentator.py" --config {params.config:q} --output {output.tool:q} > {log:q} 2>&1'


rule run_totalsegmentator:
    message:
        "Run TotalSegmentator on {wildcards.patient}"
    input:
        ingest=MANIFEST["ingest"],
        tool=rules.fetch_totalsegmentator.output.tool,
    output:
        manifest=f"{RESULTS}/segmentation/{{patient}}/totalsegmentator.json",
    log:
        f"{RESULTS}/logs/run_totalsegmentator/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/run_totalsegmentator/{{patient}}.tsv"
    # On the processor it takes all cores that it sees.
    threads: 8
    resources:
        mem_mb=16000,
        runtime=120,
        gpu=gpus,
    params:
        config=section("segmentation", "totalsegmentator"),
        code=code("run_totalsegmentator"),
    conda:
        "../../envs/totalsegmentator.yaml"
    shell:
        'python "$SCRIPTS/run_totalsegmentator.py" --ingest {input.ingest:q} --tool {input.tool:q}'
        " --config {params.config:q} --output {output.manifest:q} > {log:q} 2>&1"


rule segment_bones:
    message:
        "Segment the bones of {wildcards.patient}"
    input:
        ingest=MANIFEST["ingest"],
        model=trained_network,
        totalsegmentator=totalsegmentator_masks,
        bone_labels=provided("bone_labels"),
        proximal_femur=provided("proximal_femur"),
    output:
        manifest=MANIFEST["segmentation"],
    log:
        f"{RESULTS}/logs/segment_bones/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment_bones/{{patient}}.tsv"
    threads: 2
    resources:
        mem_mb=4000,
        gpu=network_gpus,
    params:
        bone_labels=raw_path("bone_labels"),
        proximal_femur=raw_path("proximal_femur"),
        config=section("segmentation"),
        code=code("segment_bones"),
    conda:
        "../../envs/learning.yaml"
    shell:
        "python \"$SCRIPTS/segment_bones.py\" --ingest {input.ingest:q} --model '{input.model}'"
        " --totalsegmentator '{input.totalsegmentator}'"
        " --bone-labels {params.bone_labels} --proximal-femur {params.proximal_femur}"
        " --config {params.config:q} --output {output.manifest:q} > {log:q} 2>&1"


rule picture_segmentation:
    message:
        "Draw contours and surfaces of {wildcards.patient}"
    input:
        ingest=MANIFEST["ingest"],
        segmentation=MANIFEST["segmentation"],
    output:
        picture=f"{RESULTS}/segmentation/{{patient}}/segmentation.png",
    log:
        f"{RESULTS}/logs/picture_segmentation/{{patient}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/picture_segmentation/{{patient}}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        code=code("picture_segmentation"),
    conda:
        "../../envs/imaging.yaml"
    shell:
        'python "$SCRIPTS/picture_segmentation.py" --ingest {input.ingest:q}'
        " --segmentation {input.segmentation:q} --output {output.picture:q} > {log:q} 2>&1"
