"""The network that draws the proximal-femur density map from an X-ray."""

SYNTHESIS = f"{RESULTS}/synthesis/{{release}}/{{task}}/{{backbone}}/{{size}}"


rule train_synthesis:
    message:
        "Train map synthesis after {wildcards.task} ({wildcards.backbone}, {wildcards.size}), fold {wildcards.fold}"
    input:
        release=f"{RESULTS}/laterality/{{release}}/{{size}}/index.tsv",
        folds=f"{RESULTS}/folds/{{release}}.tsv",
        encoder=initial_encoder,
    output:
        model=f"{SYNTHESIS}/fold{{fold}}/model.pt",
    log:
        f"{RESULTS}/logs/train_synthesis/{{release}}/{{task}}/{{backbone}}/{{size}}/fold{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_synthesis/{{release}}/{{task}}/{{backbone}}/{{size}}/fold{{fold}}.tsv"
    threads: training_threads
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpus,
    params:
        config=section("synthesis"),
        code=code("train_synthesis"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/train_synthesis.py" --release {input.release:q} --folds {input.folds:q}'
        " --fold {wildcards.fold} --init '{input.encoder}' --backbone {wildcards.backbone}"
        " --config {params.config:q} --output {output.model:q} > {log:q} 2>&1"


rule predict_maps:
    message:
        "Predict the held-out maps of fold {wildcards.fold} after {wildcards.task}"
    input:
        model=f"{SYNTHESIS}/fold{{fold}}/model.pt",
        release=f"{RESULTS}/laterality/{{release}}/{{size}}/index.tsv",
        folds=f"{RESULTS}/folds/{{release}}.tsv",
    output:
        table=f"{SYNTHESIS}/predictions/fold{{fold}}.tsv",
    log:
        f"{RESULTS}/logs/predict_maps/{{release}}/{{task}}/{{backbone}}/{{size}}/fold{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict_maps/{{release}}/{{task}}/{{backbone}}/{{size}}/fold{{fold}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        code=code("predict_maps"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/predict_maps.py" --model {input.model:q} --release {input.release:q}'
        " --folds {input.folds:q} --fold {wildcards.fold} --output {output.table:q} > {log:q} 2>&1"


rule predict_enrolled:
    message:
        "Predict the maps of {params.patients} patients enrolled after the release, after {wildcards.task}"
    input:
        models=[f"{SYNTHESIS}/fold{k}/model.pt" for k in FOLDS],
        halves=halves_of(ENROLLED_LATER),
    output:
        table=f"{SYNTHESIS}/predictions/enrolled.tsv",
    log:
        f"{RESULTS}/logs/predict_enrolled/{{release}}/{{task}}/{{backbone}}/{{size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict_enrolled/{{release}}/{{task}}/{{backbone}}/{{size}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        patients=len(ENROLLED_LATER),
        code=code("predict_enrolled"),
    conda:
        "../../envs/learning.yaml"
    shell:
        'python "$SCRIPTS/predict_enrolled.py" --models {input.models:q} --halves {input.halves:q}'
        " --size {wildcards.size} --output {output.table:q} > {log:q} 2>&1"
